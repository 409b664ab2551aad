"""Frozen features of clips, from decoded frames and boxes: what memory banks hold."""
