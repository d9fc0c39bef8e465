# The program as an image: for the action, or on a laptop. `--target shell` adds a shell, for jobs
# of GitLab and CircleCI.
#
# Deliberately plain: no `# syntax=` line, which would be downloaded, and nothing that
# needs BuildKit. Another base image (such as a mirror) can be set as a build argument.
ARG PYTHON_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN ["python", "-m", "venv", "--without-pip", "/opt/attested-publish"]
# First what rarely changes: most builds share the layers with the locked wheels and the
# files of the base image. Bytecode is never checked against its source: both are fixed. One
# process (-j 1) makes it: the same source gives other bytes after other files (CPython writes a
# constant once or twice, depending on the strings it knows), and several share files out by chance.
COPY requirements/runtime.txt /build/requirements/
RUN python -m pip --python /opt/attested-publish/bin/python install --quiet \
        --no-deps --require-hashes --only-binary :all: --no-compile \
        -r /build/requirements/runtime.txt \
    && python -m pip --python /opt/attested-publish/bin/python check \
    && find /opt/attested-publish -depth -type d '(' -name tests -o -name test_data ')' -exec rm -r '{}' + \
    && python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/attested-publish
COPY tools/assemble_image.py /build/tools/
RUN ["python", "-I", "/build/tools/assemble_image.py", "/opt/attested-publish", "/image", "/image-shell"]
COPY pyproject.toml README.md LICENSE entrypoint.py /build/
COPY src /build/src
# The package itself is built by flit_core, which is among the locked wheels. Nothing keeps the
# permissions of the checkout, which depend on its umask.
RUN python -m pip --python /opt/attested-publish/bin/python install --quiet \
        --no-index --no-deps --no-build-isolation --no-compile /build \
    && install --mode 644 /build/entrypoint.py /opt/attested-publish/ \
    && python -m compileall -q -j 1 --invalidation-mode unchecked-hash \
        /opt/attested-publish/lib/python3*/site-packages/attested_publish
# The same time for every file: then the same source makes the same layers, whenever it is built.
# Also for /opt itself, which COPY would create with the time of the build.
RUN mkdir -p /packages/opt && cp -a /opt/attested-publish /packages/opt/ \
    && find /image /image-shell /packages -exec touch --no-dereference --date=@315532800 '{}' +

# The interpreter and the libraries it needs, certificates, and our packages: no shell, and nothing
# that installs anything.
FROM scratch AS program
LABEL org.opencontainers.image.title="attested-publish" \
      org.opencontainers.image.description="Publish Python distributions to PyPI, each with a signed PEP 740 attestation, after an offline rehearsal." \
      org.opencontainers.image.source="https://github.com/attested-publish/attested-publish" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
COPY --from=build /packages /
ENV PATH=/opt/attested-publish/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# As root, because GitHub allows only root in a Docker action to write its outputs, and so that
# a GitLab job can use its folder; launch.sh runs it as the caller's user.
# In exec form: a shell in between would drop variables such as INPUT_PACKAGES-DIR. Isolated
# (-I): nothing in the working directory is ever imported.
ENTRYPOINT ["/opt/attested-publish/bin/python", "-I", "/opt/attested-publish/entrypoint.py"]

FROM program AS shell
COPY --from=build /image-shell /

# What is built without a target.
FROM program
