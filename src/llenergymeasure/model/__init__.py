"""The facts that processes exchange: frozen dataclasses and their JSON codec. Standard library only; both worlds import it."""
