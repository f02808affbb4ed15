"""How does an event leave a service?"""
