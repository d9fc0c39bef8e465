# The program as an image: for the action, as a GitLab job's `image:`, or on a laptop.
#
# Deliberately plain: no `# syntax=` line, which would be downloaded, and nothing that
# needs BuildKit. Another base image (such as a mirror) can be set as a build argument.
ARG PYTHON_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN ["python", "-m", "venv", "--without-pip", "/opt/attested-publish"]
# First what rarely changes: most builds share the layer with the locked wheels.
COPY requirements/runtime.txt /build/requirements/
RUN python -m pip --python /opt/attested-publish/bin/python install --quiet \
        --no-deps --require-hashes --only-binary :all: --no-compile \
        -r /build/requirements/runtime.txt \
    && python -m pip --python /opt/attested-publish/bin/python check
COPY pyproject.toml README.md LICENSE entrypoint.py /build/
COPY src /build/src
# The package itself is built by flit_core, which is among the locked wheels. Bytecode is
# never checked against its source: both are fixed in the image.
RUN python -m pip --python /opt/attested-publish/bin/python install --quiet \
        --no-index --no-deps --no-build-isolation --no-compile /build \
    && mv /build/entrypoint.py /opt/attested-publish/ \
    && /opt/attested-publish/bin/python -m compileall -q -j 0 \
        --invalidation-mode unchecked-hash /opt/attested-publish

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="attested-publish" \
      org.opencontainers.image.description="Publish Python distributions to PyPI, each with a signed PEP 740 attestation, after an offline rehearsal." \
      org.opencontainers.image.source="https://github.com/attested-publish/attested-publish" \
      org.opencontainers.image.licenses="Apache-2.0"
# The publishing program must not be able to install anything: remove the base image's pip.
RUN rm -rf /usr/local/bin/pip* /usr/bin/pip* /usr/local/lib/python3*/ensurepip \
        /usr/local/lib/python3*/site-packages/* /usr/lib/python3/dist-packages/pip*
COPY --from=build /opt/attested-publish /opt/attested-publish
ENV PATH=/opt/attested-publish/bin:$PATH
# As root, because GitHub allows only root in a Docker action to write its outputs, and so that
# a GitLab job can use its folder; launch.sh runs it as the caller's user.
# In exec form: a shell in between would drop variables such as INPUT_PACKAGES-DIR. Isolated
# (-I): nothing in the working directory is ever imported.
ENTRYPOINT ["/opt/attested-publish/bin/python", "-I", "/opt/attested-publish/entrypoint.py"]
