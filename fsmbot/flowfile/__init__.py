"""What reading a flow file takes: YAML with places, its keys and settings, the flows that it names.

`fsmbot.loader` puts it together.
"""
