"""The contest's load: its people, its run by Gatling, its audit and its report; and measurements of components."""
