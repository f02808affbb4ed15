"""Which bodies does Schemathesis make up where a schema cannot say? Loaded by it, as its hook."""

import schemathesis
from hypothesis import strategies as st

for kind in ("application/x-ndjson", "application/x-protobuf"):
    schemathesis.openapi.media_type(kind, st.binary(max_size=300))
