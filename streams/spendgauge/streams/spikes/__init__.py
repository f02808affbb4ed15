"""When is spending a spike?

    parameters   what decides, with units and reasons
    decay        how fast the past is forgotten, to the same bit on every machine
    state        what is known of a key, in a row of 256 bytes
    baseline     what is usual
    scoring      how unusual a window is
    alarms       when that is an alarm, worse, and over
    detector     all keys, minute by minute

Pure: no clock, no I/O. See ``docs/spikes.md``.
"""

from spendgauge.streams.spikes.detector import SpikeDetector, SpikeKey, SpikeStep
from spendgauge.streams.spikes.parameters import OUTPUT_TOKENS, Limits, SpikeParameters

__all__ = ["OUTPUT_TOKENS", "Limits", "SpikeDetector", "SpikeKey", "SpikeParameters", "SpikeStep"]
