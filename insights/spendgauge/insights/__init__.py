"""How do people read what was kept?"""
