"""What did this call use? What providers report, as the fields of usage events; pure functions, no SDK imported.

    for fields in anthropic_events(message):
        producer.emit(**with_own(fields, feature="triage"))

    anthropic, openai, gemini, bedrock    what each provider reports of one call, streamed or not
    claude_agent                          a whole run of an agent, by model
    litellm, otel                         what others have recorded (``relayed``: and what it means)
    reading                               foreign objects, read without trust
    leaves, tiers                         the rules: disjoint counts, checked totals, service tiers
    estimates                             where nobody has counted

Which field goes where: ``docs/adapters.md``. The cases that hold for any language: ``tests/conformance``.
"""

from spendgauge.producers.adapters.anthropic import AnthropicStream, anthropic_events
from spendgauge.producers.adapters.bedrock import BedrockStream, bedrock_events
from spendgauge.producers.adapters.claude_agent import ClaudeAgentUsage, claude_agent_events
from spendgauge.producers.adapters.estimates import estimate_tokens
from spendgauge.producers.adapters.gemini import GeminiStream, gemini_events
from spendgauge.producers.adapters.leaves import EventFields, with_own
from spendgauge.producers.adapters.litellm import litellm_events
from spendgauge.producers.adapters.openai import OpenAIStream, openai_events
from spendgauge.producers.adapters.otel import otel_events

__all__ = [
    "AnthropicStream",
    "BedrockStream",
    "ClaudeAgentUsage",
    "EventFields",
    "GeminiStream",
    "OpenAIStream",
    "anthropic_events",
    "bedrock_events",
    "claude_agent_events",
    "estimate_tokens",
    "gemini_events",
    "litellm_events",
    "openai_events",
    "otel_events",
    "with_own",
]
