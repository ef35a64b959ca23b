"""How the console writes times, whatever the browser asks for."""
