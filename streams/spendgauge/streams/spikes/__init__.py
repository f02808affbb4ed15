"""When is spending a spike?

    parameters   what decides, with units and reasons
    decay        how fast the past is forgotten, to the same bit on every machine
    state        what is known of a key, in a row of fixed size
    baseline     what is usual
    scoring      how unusual a window is
    alarms       when that is an alarm, worse, and over
    lanes        which row is whose
    detector     all keys, minute by minute
    incidents    which alarms belong together
    alerts       what is said of them

Pure: no clock, no I/O. See ``docs/spikes.md``.
"""

from spendgauge.streams.spikes.alerts import SpikeAlerts
from spendgauge.streams.spikes.detector import SpikeDetector, SpikeKey, SpikeStep
from spendgauge.streams.spikes.parameters import OUTPUT_TOKENS, Limits, SpikeParameters

__all__ = ["OUTPUT_TOKENS", "Limits", "SpikeAlerts", "SpikeDetector", "SpikeKey", "SpikeParameters", "SpikeStep"]
