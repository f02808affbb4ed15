"""How do alerts get from ``cost.alerts`` to people? Each of them once a severity, and always that it is over.

    channels    who is told, of what, and how: the file
    quiet       when a channel is left alone
    targets     addresses and secrets, from where the file says
    memory      what is kept on cost.deliveries
    incidents   how the alerts stand that belong together
    deciding    what is to be told of an incident on a channel now
    tries       what comes of an attempt, and how long is waited after a failure
    patience    when a channel is tried again, and with which messages
    failing     which channels cannot be reached, and the alert that says so
    messages    what a message says
    desk        all of that together: lines, words and outcomes in, orders out

Up to here it is pure. Around it:

    signing, webhooks    signed POSTs, as Standard Webhooks has them
    deadlines            an answer that drips is cut off
    answers              what a webhook's answer means, or that there is none
    services             Slack, e-mail and the rest, by the apprise library
    senders              a thread for each channel
    files                the file is read again when it changes
    hearing, keeping     Kafka
    notifier             the main loop
    trial                a message to each channel, to see whether it works

See ``docs/delivery.md``.
"""

__all__: list[str] = []
