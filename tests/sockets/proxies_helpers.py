"""URLs that the tests of proxies share."""

from __future__ import annotations

HTTPS = "https://prod.featherhq.com"
HTTP = "http://prod.featherhq.com"
PROXY = "http://proxy:3128"
OTHER = "http://other:3128"
