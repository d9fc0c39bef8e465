#!/usr/bin/env bash
# Run the action: in the image of this commit, or in plain Python.
#
#   launch.sh prepare    choose a runtime and prepare it, before any credential is needed
#   launch.sh publish    run the program in it
#
# Also runs with the bash 3.2 of macOS and the bash of Git for Windows. Everything is read
# from the folder of this file, which the pinned commit fixes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

main() {
  [[ -n ${RUNNER_TEMP-} && -d $RUNNER_TEMP ]] || fail "RUNNER_TEMP does not name a folder."
  case ${1-} in
    prepare) prepare ;;
    publish) publish ;;
    *) fail "launch.sh was called with '${1-}'; it must be prepare or publish." ;;
  esac
}

prepare() {
  # Nothing that is pulled, built or installed here can use the job's identity.
  unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN
  local runtime why_not
  runtime=$(trimmed "${INPUT_RUNTIME-}" | tr '[:upper:]' '[:lower:]')
  case ${runtime:-auto} in
    docker) prepare_docker || fail "runtime is docker, but $why_not." ;;
    python) prepare_python || fail "runtime is python, but $why_not." ;;
    auto)
      if ! prepare_docker; then
        printf 'Using plain Python: %s.\n' "$why_not"
        local no_docker=$why_not
        prepare_python || fail "There is nothing to run in: $no_docker, and $why_not."
      fi
      ;;
    *) fail "runtime is '$runtime'; it must be auto, docker or python." ;;
  esac
}

# Prepare the image, or set `why_not` to the reason why it cannot be used here.
prepare_docker() {
  local image engine name=Docker refusal
  if [[ $(uname -s) != Linux ]]; then
    why_not="Docker is used on Linux only"
  elif ! command -v docker >/dev/null; then
    why_not="there is no docker command on PATH"
    ! command -v podman >/dev/null || why_not+=" (Podman's is in the package podman-docker)"
  elif ! realpath -sm / >/dev/null 2>&1; then
    # That of BusyBox resolves every link, and only where all folders exist.
    why_not="realpath is not that of GNU coreutils (on Alpine: apk add coreutils)"
  elif ! engine=$(ask_engine) || [[ $engine != linux* ]]; then
    why_not="no Docker engine for Linux containers answers"
  elif ! prepare_image; then
    why_not="the image could not be pulled or built (its group above says why)"
    printf '::warning title=attested-publish::%s\n' "The image could not be pulled or built; the log says why."
  elif ! sees_our_folders "$image"; then
    why_not="the Docker engine does not see this job's folders, as from inside a job container (it says: ${refusal##*[$'\n\r']})"
  else
    [[ $engine != *name=podman* ]] || name=Podman
    printf 'Runtime: %s, %s\n' "$name" "$image"
    hand_over runtime docker image "$image"
    return
  fi
  return 1
}

# Print the system whose containers the engine runs, and its security options, in Docker's words.
# The docker command may be Podman's, which has the same arguments, but not the same facts.
ask_engine() {
  local status=0
  timeout -k 5 20 docker info --format '{{.OSType}} {{.SecurityOptions}} at {{.DockerRootDir}}' 2>/dev/null || status=$?
  # An engine that does not answer in time is not asked twice.
  ((status != 0)) || return 0
  ((status != 124 && status != 137)) || return 1
  timeout -k 5 20 docker info --format '{{.Host.OS}} name=podman{{with .Host.Security}}{{if .Rootless}} name=rootless{{end}}{{if .SELinuxEnabled}} name=selinux{{end}}{{end}}' 2>/dev/null
}

# Run a docker command that takes a moment; an engine that hangs does not hold up the job.
docker_soon() {
  timeout -k 5 120 docker "$@"
}

# Find the image that the commit names by digest; a branch or a fork has none, and builds it.
prepare_image() {
  image=
  if [[ -e $here/image.txt ]]; then
    image=$(tr -d '[:space:]' <"$here/image.txt")
  fi
  if [[ -n $image ]]; then
    docker_soon image inspect "$image" >/dev/null 2>&1 || in_group "Pull $image" pull "$image"
  else
    built_image
  fi
}

# Set `image` to the id of an image built by this job. One that another job left behind, on a
# runner that is used again, is not taken for it: whatever its name, it may hold anything.
built_image() {
  local name record
  name=attested-publish:$(content_hash) || return
  record=$RUNNER_TEMP/attested-publish-image-${name#*:}-$(this_job)
  if [[ -f $record ]]; then
    image=$(<"$record")
    ! docker_soon image inspect "$image" >/dev/null 2>&1 || return 0
  fi
  in_group "Build $name" build "$name" "$record" && image=$(<"$record")
}

pull() {
  timeout -k 5 300 docker pull --quiet "$1" || {
    printf 'The image could not be pulled from %s.\n' "${1%%/*}"
    return 1
  }
}

# build NAME FILE: write the id of what was built into a file. By the name, another job on the same
# engine might already mean another image.
build() {
  local extra
  split extra "${ATTESTED_PUBLISH_DOCKER_BUILD_ARGS-}"
  rm -rf "$2" &&
    timeout -k 5 900 docker build ${extra[@]+"${extra[@]}"} --tag "$1" --iidfile "$2" "$here" &&
    docker_soon image inspect "$(<"$2")" >/dev/null
}

# Name the job. The runner empties its temporary folder between jobs, but only of what it is able to
# delete: what an earlier job left there must not be taken for ours. The last part is chosen by the
# runner at random, so an earlier job, or an earlier attempt of this one, could not know it.
this_job() {
  local text=${GITHUB_RUN_ID-}-${GITHUB_RUN_ATTEMPT-}-${GITHUB_JOB-}-${RUNNER_TRACKING_ID-}
  printf '%s' "${text//[^A-Za-z0-9_-]/}"
}

# Hash what is built, and how, so that the next call in the job finds what this one built.
content_hash() {
  (
    cd "$here" || exit
    printf '%s\n' "${ATTESTED_PUBLISH_DOCKER_BUILD_ARGS-}"
    find Dockerfile .dockerignore LICENSE README.md entrypoint.py pyproject.toml \
      requirements/runtime.txt src tools/assemble_image.py -type f ! -name '*.pyc' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -c 1-16
}

# An engine in another place does not have this new folder, and cannot create a container with it.
# Sets `refusal` to what it says then.
sees_our_folders() {
  local probe container status=0
  probe=$(mktemp -d "$RUNNER_TEMP/attested-publish-probe-XXXXXXXX") || fail "RUNNER_TEMP cannot be written to."
  container=$(docker_soon create --network none --mount "$(bind_mount "$probe" readonly)" "$1" 2>"$probe-refusal") || status=1
  refusal=$(<"$probe-refusal")
  # Out of time.
  [[ -n $refusal ]] || refusal=nothing
  [[ -z $container ]] || docker_soon rm "$container" >/dev/null
  rm "$probe-refusal"
  rmdir "$probe"
  return "$status"
}

# Prepare a virtual environment, or set `why_not` to the reason why that is impossible. The next
# call in the same job finds it again.
prepare_python() {
  local name path which known=$'\n' temp bin=bin misfit misfits=
  temp=$(cd "$RUNNER_TEMP" && pwd)
  [[ $(uname -s) == MINGW* || $(uname -s) == MSYS* ]] && bin=Scripts
  why_not="no Python 3.11 or newer with its venv module is on PATH: add a step with actions/setup-python, or install it on the runner (python3-venv on Debian and Ubuntu; on Alpine, where actions/setup-python does not work, python3)"
  # Most likely first. Several names of one Python count once.
  for name in python3 python python3.14 python3.13 python3.12 python3.11; do
    while read -r path; do
      which=$(suitable "$path") || continue
      [[ -n $which && $known != *$'\n'"$which"$'\n'* ]] || continue
      known+=$which$'\n'
      prepare_with "$path" </dev/null && return
      [[ -n $misfit ]] || return 1
      misfits+=${misfits:+, }$misfit
      why_not="the locked packages have no wheels for a Python on PATH ($misfits): add a step with actions/setup-python and a version from the README's table \"Where it runs\""
    done < <(type -ap "$name")
  done
  return 1
}

# Print which Python it is, unless it cannot be used.
suitable() {
  "$1" -I -c '
import ensurepip, sys, venv
if sys.version_info >= (3, 11):
    sys.stdout.write(sys.base_prefix + " " + sys.version)' 2>/dev/null </dev/null
}

# Prepare one Python's environment. If another Python may work better, `misfit` says why.
prepare_with() {
  local python=$1 key venv status=0
  misfit=
  # Python computes the name, because macOS has no sha256sum. Without a line break, which would be
  # two characters on Windows.
  key=$("$python" -I -c '
import hashlib, pathlib, sys
parts = [pathlib.Path(sys.argv[1], "requirements", "runtime.txt").read_bytes()]
parts += [text.encode() for text in (*sys.argv[1:], sys.version, sys.executable)]
sys.stdout.write(hashlib.sha256(b"\0".join(parts)).hexdigest()[:16])' "$here" "$(this_job)") || {
    why_not="$python could not compute the name of its environment"
    return 1
  }
  venv=$temp/attested-publish-$key
  if [[ ! -e $venv/complete ]]; then
    in_group "Install the locked packages" \
      "$python" -I "$here/install.py" "$venv" "$venv-why-not" || status=$?
    if ((status == 3)); then
      misfit=$(<"$venv-why-not")
      rm -rf "$venv" "$venv-why-not"
      printf '%s.\n' "$misfit"
      return 1
    elif ((status != 0)); then
      why_not="the locked packages could not be installed (pip names above the host it could not reach, or the file that did not match)"
      [[ ! -s $venv-why-not ]] || why_not=$(<"$venv-why-not")
      rm -rf "$venv-why-not"
      return 1
    fi
    : >"$venv/complete"
  fi
  printf 'Runtime: %s\n' "$("$venv/$bin/python" -I -VV)"
  hand_over runtime python python "$venv/$bin/python"
}

publish() {
  ! verifies_locks || read_base
  case ${ATTESTED_PUBLISH_RUNTIME-} in
    docker) publish_in_docker ;;
    # Replaces this shell, so that the signal of a cancelled job reaches the program.
    python) exec "${ATTESTED_PUBLISH_PYTHON:?}" -I "$here/entrypoint.py" ;;
    *) fail "There is no runtime: the step before this one did not finish." ;;
  esac
}

verifies_locks() {
  [[ $(trimmed "${INPUT_MODE-}" | tr '[:upper:]' '[:lower:]') == verify ]]
}

# On a pull request, write the locks as they are in the base branch into a folder that the program
# reads: here is git, which the image does not have. Without them it can be verified, too.
read_base() {
  local base folder line
  [[ -n ${GITHUB_BASE_REF-} && -z $(trimmed "${INPUT_AGAINST-}") ]] || return 0
  if ! base=$(base_commit); then
    printf '::warning title=attested-publish::%s\n' "The locks of the base branch are not in this checkout, so nothing is compared with them: set fetch-depth: 2 for actions/checkout, or 0 if it checks out anything but the pull request's merge commit."
    return 0
  fi
  folder=$(mktemp -d "$RUNNER_TEMP/attested-publish-base-XXXXXXXX") || fail "RUNNER_TEMP cannot be written to."
  while read -r line; do
    line=$(trimmed "$line")
    line=${line#"$PWD/"}
    # Others may be outside of the repository.
    [[ -n $line && $line != /* && /$line/ != */../* ]] || continue
    export_from "$base" "$line" "$folder"
    # Requirements may include others, from the same folder.
    if [[ $line == *.txt ]]; then
      while read -r name; do
        [[ $name != *.txt && $name != *.in ]] || export_from "$base" "$(beside "$line" "$name")" "$folder"
      done < <(objects ls-tree --name-only "$base:./$(beside "$line")" | head -n 200)
    fi
  done <<<"${INPUT_LOCK-}"
  export ATTESTED_PUBLISH_BASE=$folder
}

# Print the commit that the pull request's changes are made to. GitHub's merge commit has it as its
# first parent, with fetch-depth: 2, too.
base_commit() {
  local head
  head=$(objects rev-parse --verify --quiet 'HEAD^{commit}') || return 1
  if [[ $head == "${GITHUB_SHA-}" ]] && objects rev-parse --verify --quiet 'HEAD^2^{commit}' >/dev/null; then
    objects rev-parse --verify --quiet 'HEAD^1^{commit}'
  else
    objects merge-base HEAD "refs/remotes/origin/$GITHUB_BASE_REF" 2>/dev/null
  fi
}

# beside FILE [NAME]: the path of NAME in the folder of FILE, or of that folder.
beside() {
  local folder=
  [[ $1 != */* ]] || folder=${1%/*}/
  printf '%s%s' "$folder" "${2-}"
}

# export_from COMMIT PATH FOLDER: write a file of at most 64 MiB below FOLDER, if there is one.
export_from() {
  local size
  [[ $(objects cat-file -t "$1:./$2" 2>/dev/null) == blob ]] || return 0
  size=$(objects cat-file -s "$1:./$2") && ((size <= 67108864)) || return 0
  mkdir -p -- "$3/$(beside "$2")"
  objects cat-file blob "$1:./$2" >"$3/$2"
}

# Let git print objects, without running or fetching anything that the repository names.
objects() {
  GIT_ALLOW_PROTOCOL='' GIT_NO_LAZY_FETCH=1 GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 MSYS_NO_PATHCONV=1 \
    git --no-pager --no-replace-objects -c core.fsmonitor=false -c core.hooksPath=/dev/null \
    -c core.quotePath=false "$@"
}

# What the program and its network access need; the values are not put on the command line.
readonly VARIABLES="
  ATTESTED_PUBLISH_BASE INPUT_AGAINST INPUT_LOCK INPUT_POLICY
  INPUT_ATTESTATIONS INPUT_ATTESTATIONS_DIR INPUT_CONFIRM INPUT_MODE INPUT_PACKAGES_DIR
  INPUT_PARALLEL_UPLOADS INPUT_PASSWORD INPUT_PRINT_HASH INPUT_PROVENANCE
  INPUT_REPOSITORY_URL
  INPUT_SIGSTORE_TRUST_CONFIG INPUT_SKIP_EXISTING INPUT_USER INPUT_VERBOSE INPUT_VERIFY_METADATA
  INPUT_VERSION_TAG
  ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_ID_TOKEN_REQUEST_URL
  CI GITHUB_ACTIONS GITHUB_ACTOR GITHUB_ACTOR_ID GITHUB_BASE_REF GITHUB_EVENT_NAME GITHUB_EVENT_PATH
  GITHUB_HEAD_REF GITHUB_OUTPUT GITHUB_REF GITHUB_REF_PROTECTED GITHUB_REPOSITORY GITHUB_REPOSITORY_ID
  GITHUB_REPOSITORY_OWNER_ID GITHUB_RUN_ATTEMPT GITHUB_RUN_ID GITHUB_RUN_NUMBER GITHUB_SHA
  GITHUB_STEP_SUMMARY GITHUB_WORKFLOW GITHUB_WORKFLOW_REF GITHUB_WORKFLOW_SHA RUNNER_ENVIRONMENT
  HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
  CURL_CA_BUNDLE REQUESTS_CA_BUNDLE SSL_CERT_FILE
"

publish_in_docker() {
  local arguments name work extra engine
  # Private copies, Sigstore's cached trust root and the report; not in memory, where there is no
  # room for a large release. The runner empties its temporary folder after the job.
  { work=$(mktemp -d "$RUNNER_TEMP/attested-publish-XXXXXXXX") && mkdir "$work/home" "$work/tmp"; } || fail "RUNNER_TEMP cannot be written to."
  arguments=(
    run --rm --pull never --read-only --cap-drop ALL --security-opt no-new-privileges
    --workdir "$PWD"
    --env "HOME=$work/home" --env "TMPDIR=$work/tmp" --env "RUNNER_TEMP=$work"
  )
  for name in $VARIABLES; do
    arguments+=(--env "$name")
  done

  engine=$(ask_engine) || fail "The Docker engine no longer answers."
  # The service of Podman 4 does not say that it is rootless, but its files are the caller's.
  if ((EUID != 0)) && [[ $engine == *'] at /'* && -O ${engine#*'] at '} ]]; then
    engine="name=rootless $engine"
  fi
  case $engine in
    # In a rootless engine's containers, root is the caller.
    *name=rootless*) arguments+=(--user 0:0) ;;
    *name=userns*) arguments+=(--userns host --user "$(id -u):$(id -g)") ;;
    *) arguments+=(--user "$(id -u):$(id -g)") ;;
  esac
  # Otherwise SELinux lets a container read only files that were labelled for it, and the user's
  # files stay as they are.
  [[ $engine != *name=selinux* ]] || arguments+=(--security-opt label=disable)

  share "$work"
  for name in GITHUB_OUTPUT GITHUB_STEP_SUMMARY; do
    # What is missing cannot be mounted; the program says what it could not write.
    if [[ -n ${!name-} ]] && { [[ -e ${!name} ]] || : >>"${!name}"; }; then
      share "${!name}"
    fi
  done
  for name in GITHUB_EVENT_PATH CURL_CA_BUNDLE REQUESTS_CA_BUNDLE SSL_CERT_FILE; do
    [[ ! -f ${!name-} ]] || share "${!name}" readonly
  done
  mount_files
  # Podman, unlike Docker, does not create the working directory.
  if [[ $engine == *name=podman* ]] && ! mounts_make "$PWD"; then
    arguments+=(--mount "type=tmpfs,\"target=${PWD//\"/\"\"}\",tmpfs-mode=0555")
  fi

  split extra "${ATTESTED_PUBLISH_DOCKER_ARGS-}"
  contained docker "${arguments[@]}" ${extra[@]+"${extra[@]}"} "${ATTESTED_PUBLISH_IMAGE:?}"
}

# Whether a mount makes a folder: it is mounted itself, or something in it or above it.
mounts_make() {
  local path
  while IFS= read -r path; do
    [[ -z $path ]] || ! { inside "$path" "$1" || inside "$1" "$path"; } || return 0
  done <<<"$shared"
  [[ $1 == / ]]
}

# contained COMMAND…: run a container, pass on the signals of a cancelled job, and explain what the
# program in it could not.
contained() {
  local container='' status signals='' heard
  trap 'pass_on INT' INT
  trap 'pass_on TERM' TERM
  trap 'pass_on HUP' HUP
  # A command in the background ignores SIGINT otherwise, until it has its own handler.
  (trap - INT && exec "$@") &
  container=$!
  # What arrived just before could not be passed on.
  [[ -z $signals ]] || kill -TERM "$container" 2>/dev/null || true
  # A signal ends the waiting, but not the container.
  while
    heard=$signals
    status=0
    wait "$container" || status=$?
    [[ $heard != "$signals" ]]
  do :; done
  # A job that is cancelled needs no further explanation.
  [[ -z $signals ]] || exit "$status"
  case $status in
    125 | 126 | 127) fail "The container could not be started, or the engine stopped; the log says why. Check ATTESTED_PUBLISH_DOCKER_ARGS, if it is set. A re-run uploads only what is missing." ;;
    137) fail "The container was killed, most likely because it had too little memory. Raise --memory in ATTESTED_PUBLISH_DOCKER_ARGS, or use a runner with more. The log says which files had been uploaded; a re-run uploads only what is missing." ;;
    *) ;;
  esac
  exit "$status"
}

# For `contained`: note a signal, and send it to the container if it is there.
pass_on() {
  signals+=" $1"
  [[ -z $container ]] || kill "-$1" "$container" 2>/dev/null || true
}

# The user's files, at the same paths as here, so that messages name them correctly.
mount_files() {
  local line found=
  line=$(trimmed "${INPUT_ATTESTATIONS_DIR-}")
  if [[ -n $line ]]; then
    # The user asked to write to it, even if it is also one of the packages folders.
    if of_the_system "$line"; then
      not_shown "$line"
    else
      # The program says it, if it is a file.
      [[ -e $line ]] || mkdir -p -- "$line" || fail "attestations-dir is $line, which could not be created; the log says why."
      share "$line"
    fi
  fi
  if verifies_locks; then
    mount_locks
  else
    while read -r line; do
      line=$(trimmed "$line")
      if [[ -n $line ]]; then
        found=yes
        mount_packages "$line"
      fi
    done <<<"${INPUT_PACKAGES_DIR-}"
    [[ -n $found ]] || mount_packages dist
  fi
  line=$(trimmed "${INPUT_SIGSTORE_TRUST_CONFIG-}")
  [[ ! -f $line ]] || share "$line" readonly
}

mount_packages() {
  local path=$1
  # A pattern, unless something has this very name: the folder that it starts in.
  if [[ $path == *[*?[]* && ! -e $path && ! -L $path ]]; then
    path=./${path%%[*?[]*}
    [[ $1 != /* ]] || path=${path#./}
    path=${path%/*}/
  fi
  path=$(realpath -sm -- "$path")
  # If something is missing in the job's own folders, the message lists what is there instead.
  if [[ ! -e $path ]]; then
    path=$(dirname "$path")
    of_the_job "$path" || return 0
  fi
  if of_the_system "$path"; then
    not_shown "$path"
  elif [[ -d $path || -f $path ]]; then
    share "$path" readonly
  fi
}

# Locks, what requirements include from their own folder, and what they are compared with.
mount_locks() {
  local line name
  [[ -z ${ATTESTED_PUBLISH_BASE-} ]] || share "$ATTESTED_PUBLISH_BASE" readonly
  while read -r line; do
    line=$(trimmed "$line")
    [[ -f $line ]] || continue
    mount_packages "$line"
    if [[ $line == *.txt ]]; then
      for name in "$(beside "$line")"*.txt "$(beside "$line")"*.in; do
        [[ ! -f $name ]] || mount_packages "$name"
      done
    fi
  done <<<"${INPUT_LOCK-}"$'\n'"${INPUT_AGAINST-}"$'\n'"${INPUT_POLICY-}"
}

not_shown() {
  printf 'Not mounted into the container, because it belongs to the system: %q\n' "$1"
}

# Whether it is a folder with sockets, devices or the kernel's own files, or above or below one;
# both as it is written, and after resolving links.
of_the_system() {
  local path system
  ! of_the_job "$1" || return 1
  for path in "$(realpath -sm -- "$1")" "$(realpath -m -- "$1")"; do
    # A file system in memory.
    [[ $path != /dev/shm/?* ]] || continue
    for system in /dev /proc /run /sys /var/run; do
      [[ $path != "$system" && $path != "$system"/* && $system != "${path%/}"/* ]] || return 0
    done
  done
  return 1
}

# Whether it is in the job's working directory, or among its temporary files; both as it is written,
# and after resolving links.
of_the_job() {
  local path
  for path in "$(realpath -sm -- "$1")" "$(realpath -m -- "$1")"; do
    inside "$PWD" "$path" || inside "$RUNNER_TEMP" "$path" || return 1
  done
}

# inside FOLDER PATH: whether PATH is FOLDER or in it; false for the root folder.
inside() {
  local folder
  for folder in "$(realpath -sm -- "$1")" "$(realpath -m -- "$1")"; do
    [[ $folder == / || $2/ != "$folder"/* ]] || return 0
  done
  return 1
}

shared=$'\n'

# share PATH [readonly]: mount it at the same path in the container; the first call wins.
share() {
  local path
  path=$(realpath -sm -- "$1")
  [[ $shared != *$'\n'"$path"$'\n'* ]] || return 0
  shared+=$path$'\n'
  arguments+=(--mount "$(bind_mount "$path" ${2+"$2"})")
}

# bind_mount PATH [readonly]: the value of --mount; its fields are CSV, and a path may contain a comma.
# Links are resolved here, because /proc/self is another process for the engine.
bind_mount() {
  local source target=${1//\"/\"\"}
  source=$(realpath -m -- "$1")
  printf 'type=bind,"source=%s","target=%s"%s' "${source//\"/\"\"}" "$target" "${2:+,$2}"
}

# Pass NAME VALUE pairs to the next step.
hand_over() {
  while (($# > 1)); do
    printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT-}" || fail "The step's outputs could not be written to the file that GITHUB_OUTPUT names."
    shift 2
  done
}

# in_group TITLE COMMAND…: fold the output of the command, and prevent the runner from executing any
# of its lines, even those from an index or a registry, until the random word is printed.
in_group() {
  local status=0 word
  word=$(od -An -N16 -tx1 /dev/urandom | tr -d '[:space:]')
  ((${#word} == 32)) || fail "/dev/urandom could not be read."
  printf '::group::%s\n::stop-commands::%s\n' "$1" "$word"
  "${@:2}" 2>&1 || status=$?
  # On a separate line, even if the output does not end with a line break.
  printf '\n::%s::\n::endgroup::\n' "$word"
  return "$status"
}

# split NAME TEXT: split TEXT at white space into the array NAME, without any expansion.
split() {
  read -r -d '' -a "$1" <<<"$2" || true
}

trimmed() {
  local text=$1
  text=${text#"${text%%[![:space:]]*}"}
  printf '%s' "${text%"${text##*[![:space:]]}"}"
}

fail() {
  local text=${1//%/%25}
  text=${text//$'\r'/%0D}
  printf '::error title=attested-publish cannot run here::%s\n' "${text//$'\n'/%0A}"
  exit 1
}

main "$@"
