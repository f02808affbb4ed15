"""How do events become rates and alerts?"""
