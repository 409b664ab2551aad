"""Boxes, panels and curves on pictures; knows arrays only."""
