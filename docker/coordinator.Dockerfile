# The image of the coordinator.
#
#   base ──▶ packages   the packages of requirements/coordinator.txt by their hashes, and ours, in /opt/coordinator
#        └─▶ root       the base without shells, package tools and set-user-id programs
#                └────▶ the image: root + /opt/coordinator, one unprivileged user
#
# Nothing is fetched here: `make images` puts the wheels into build/wheels/coordinator first. The base is any Debian 12
# that holds python3; name one that you trust by its digest.
ARG BASE=council-federation-base

FROM ${BASE} AS packages
COPY build/wheels/coordinator /wheels
COPY requirements/coordinator.txt /requirements.txt
# pip runs from its own wheel, so that no installer gets into the image. Compiled files are held against nothing when they
# are used (unchecked-hash): every date in the image is 0, so by date all would be stale, and a read-only root cannot hold
# newer ones. What vouches for them is the image's id.
RUN python3 -m venv --without-pip /opt/coordinator && \
    cd /wheels && pip="python3 $(echo pip-*.whl)/pip --python /opt/coordinator/bin/python --no-input" && \
    PYTHONDONTWRITEBYTECODE=1 $pip install --no-index --find-links . --require-hashes --no-compile --quiet -r /requirements.txt && \
    PYTHONDONTWRITEBYTECODE=1 $pip install --no-index --no-deps --no-compile --quiet council_federation-*.whl && \
    /opt/coordinator/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/coordinator/lib
# The node's program has no business here, nor has the mask holder's.
RUN cd /opt/coordinator && rm -r lib/python3.11/site-packages/council_node bin/council-node \
    lib/python3.11/site-packages/mask_holder bin/mask-holder bin/[Aa]ctivate*

FROM ${BASE} AS root
COPY docker/trim_root.py /trim_root.py
# Debian's own compiled files name dates. Made again (-f) like ours, or each start would compile what it imports.
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11 && \
    mkdir /trimmed && cp -a --one-file-system /bin /etc /lib* /sbin /usr /var /trimmed/ && \
    python3 /trim_root.py /trimmed coordinator 10002

FROM scratch
COPY --from=root /trimmed /
COPY --from=packages /opt/coordinator /opt/coordinator
ENV PATH=/opt/coordinator/bin:/usr/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/nonexistent
USER 10002:10002
WORKDIR /coordinator
ENTRYPOINT ["coordinator"]
CMD ["serve"]
EXPOSE 7443
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["coordinator", "doctor"]
