"""What schemathesis is told not to ask; see `check-openapi` beside this file."""

import schemathesis


@schemathesis.hook
def filter_case(context, case):
    # `events` in the place of an identifier is the live queue, whose answer never ends.
    return "events" not in (case.path_parameters or {}).values()
