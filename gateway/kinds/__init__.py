"""What a plugin implements: kinds of targets, verification schemes and transforms, and their options.

Whoever is outside takes them from `gateway.plugin`.
"""
