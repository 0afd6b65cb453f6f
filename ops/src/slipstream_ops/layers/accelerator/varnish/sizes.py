"""The accelerator's numbers: memory for copies, threads, and the sizes that have to fit the edge's."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.layers.edge.timeouts import timeouts_of
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import share_of

SMALLEST_MEGABYTES = 24
THREAD_POOLS = 2

SHORT_GRACE_SECONDS = 10
"""An old copy is given for as long while a fresh one is fetched: longer than a slow page takes, too short to notice."""


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    share = share_of(host, "accelerator", stack.config.accelerator.memory)
    storage = max(SMALLEST_MEGABYTES, share.megabytes * 75 // 100)
    largest = max(1, storage // 20)
    visitors = stack.config.edge.max_connections
    return (
        Sized(
            "storage",
            f"{storage}M",
            f"75% of {share.megabytes} MB ({share.reason})",
            "each copy costs about 1 KB beside its body; threads, the log and answers that pass through need the rest",
        ),
        Sized(
            "largest",
            largest << 20,
            f"storage {storage} MB / 20, at least 1 MB",
            "one large download would push hundreds of pages out; it passes through, and Range requests keep working",
        ),
        Sized(
            "thread_pool_min",
            50,
            f"fixed, x {THREAD_POOLS} pools",
            "ready for a burst without making threads; idle ones cost some 40 KB each",
        ),
        Sized(
            "thread_pool_max",
            max(100, visitors // THREAD_POOLS),
            f"[edge] max_connections {visitors} / {THREAD_POOLS} pools",
            "a request that waits for the application holds a thread: there is one for every visitor whom the edge lets in",
        ),
        Sized("listen_depth", 4096, "the kernel's own limit (somaxconn)", "a burst waits instead of being refused"),
        Sized(
            "vsl_space", "32M", "about 16,000 requests", "the log's ring in memory; the log writer may fall behind by that much"
        ),
        Sized(
            "http_req_hdr_len",
            "31k",
            "the edge's buffer of 32 KB, less 1 KB",
            "a header that the edge let in (large cookies) is not refused here",
        ),
        Sized("http_resp_hdr_len", "31k", "as http_req_hdr_len", "a long Content-Security-Policy is no reason for an error page"),
        Sized("http_resp_size", "48k", "as http_req_size", "the same for an answer's whole head"),
        Sized("http_max_hdr", 128, "the edge's 101 and what it adds", "as many header lines as the edge lets in"),
        Sized(
            "http_req_size", "48k", "more than the edge's buffer of 32 KB", "the same for the whole head, with what the edge adds"
        ),
        Sized(
            "workspace_client",
            "128k",
            "http_req_size and room for the rules",
            "holds a request's head and what the rules make of it",
        ),
        Sized("workspace_backend", "128k", "as workspace_client", "holds the head that is sent on and the answer's"),
        Sized(
            "timeout_idle",
            30,
            "6 x what the edge keeps an idle connection (5 s)",
            "the edge lets go first, so that it never sends a request on a connection that is being closed",
        ),
        Sized(
            "backend_idle_timeout",
            20,
            "under the 60 s of the balancer",
            "this side lets go first, for the same reason",
        ),
        Sized(
            "first_byte_timeout",
            timeouts_of(stack.config).accelerator,
            "app server's limit + queue + connection + margins, see backends.vcl",
            "longer than the balancer behind waits, shorter than the edge in front",
        ),
        Sized(
            "pcre2_match_limit", 200000, "20 x the default", "the search for a repeated name in a query of 1,024 characters ends"
        ),
    )
