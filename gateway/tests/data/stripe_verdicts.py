"""What Stripe's own library says: signs what is to be signed, and says of each webhook whether it is genuine.

Reads one JSON object from standard input. Only the clock is replaced, so that the answer does not depend on the day.
"""

import json
import sys
import types

from stripe import SignatureVerificationError, WebhookSignature, _webhook

asked = json.load(sys.stdin)
_webhook.time = types.SimpleNamespace(time=lambda: asked["now_s"])


def is_genuine(case):
    try:
        WebhookSignature.verify_header(bytes.fromhex(case["body"]), case["header"], case["secret"], 300)
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


json.dump(
    {
        "signed": [WebhookSignature.generate_signature_header(c["body"], c["secret"], c["at_s"]) for c in asked["sign"]],
        "genuine": [is_genuine(case) for case in asked["cases"]],
    },
    sys.stdout,
)
