"""How are events, rates and rejects kept?"""
