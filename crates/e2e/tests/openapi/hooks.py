"""One event per line: schemathesis knows no such media type."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return str(value).encode("utf-8", "replace")
