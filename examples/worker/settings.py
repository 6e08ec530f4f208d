"""The settings of the workers. All of them come from the environment.

FEATHER_API_KEY and FEATHER_BASE_URL belong to the client, which reads them itself.
"""

import os

AGENT_ID = os.environ.get("AGENT_ID", "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")

# One Redis for the queue, the rate limit and the ledger. It should keep its data on disk (appendonly yes).
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

DATABASE = os.environ.get("DATABASE", "cases.sqlite")

# All times are in seconds.

# Of one call of the client, with its waits and retries.
TIMEOUT = float(os.environ.get("TIMEOUT", "30"))

# An answer is complete when the agent has said nothing more for so long. What it says later is for the follow-up.
QUIET = float(os.environ.get("QUIET", "2"))

# A worker listens to one agent for at most so long, however much that says.
LISTEN = float(os.environ.get("LISTEN", "60"))

# When to look for what the agent has said later.
FOLLOW_UP_AFTER = float(os.environ.get("FOLLOW_UP_AFTER", "300"))

# A task that is not acknowledged after so long goes to another worker. Longer than the longest task, which makes two
# calls and listens. A task that takes longer runs twice at once. That costs requests, and no message is sent twice.
VISIBILITY_TIMEOUT = float(os.environ.get("VISIBILITY_TIMEOUT", "180"))

# A step of a case that was not finished after so long is queued again. Longer than a task usually waits in the queue.
QUEUE_AGAIN_AFTER = float(os.environ.get("QUEUE_AGAIN_AFTER", "600"))
