"""Bounds of the transport: name, number, unit, reason."""

from meroid.limits import OPERATION_BYTES, PAGE_BYTES, Limit

ENVELOPE_BYTES = Limit("envelope", 64 * 1024, "bytes", "what surrounds an operation or a page in a message")
MESSAGE_BYTES = Limit("message", OPERATION_BYTES.value + ENVELOPE_BYTES.value, "bytes", "one operation in its envelope")
ANSWER_BYTES = Limit("answer", PAGE_BYTES.value + ENVELOPE_BYTES.value, "bytes", "one page in its envelope")
FRAME_BYTES = Limit(
    "frame", ANSWER_BYTES.value + 4096, "bytes", "the engine gives up on anything larger while it arrives"
)
QUEUED_MESSAGES = Limit("queued_messages", 16_384, "messages", "a burst waits, a flood doesn't fill the memory")
QUEUED_BYTES = Limit("queued_bytes", 64 * 1024 * 1024, "bytes", "a burst waits, a flood doesn't fill the memory")
TOPIC_MESSAGES = Limit("topic_messages", 8_192, "messages", "one topic leaves room for the others")
QUEUED_QUESTIONS = Limit("queued_questions", 256, "questions", "who asks has given up before more are answered")
PRESENT_HANDLES = Limit("present_handles", 1_024, "handles", "more nodes than serve one context")
KEPT_ENDPOINTS = Limit("kept_endpoints", 64, "addresses", "learnt while running; the oldest is forgotten first")
ADVERTISED_ENDPOINTS = Limit("advertised_endpoints", 4, "addresses", "an invitation carries at most four")
STALL_SECONDS = Limit("stall", 5, "seconds", "a peer that takes nothing for so long is dropped")
LEASE_MS = Limit(
    "lease", 5_000, "ms", "a peer that is silent for so long is gone; it also ends the closing of a stalled link"
)
