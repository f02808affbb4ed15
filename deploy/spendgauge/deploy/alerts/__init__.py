"""How do people work with alerts and quotas on the command line?

commands    what can be typed: list, tail, ack, silence, silences, unsilence; and quotas
listing     how incidents are shown
words       what people said of alerts: silences and acknowledgements, on ``cost.silences``
subjects    what a silence may be about
standings   how quotas stand, from ``cost.quotas``
"""
