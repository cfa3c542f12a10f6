"""What composed prompts are about: topics that no two slices share, and words that their instructions ask for."""

from collections.abc import Mapping

from harness.core.task import Slice

TOPICS: Mapping[Slice, tuple[str, ...]] = {
    "fit": (
        "a bakery that opens at midnight", "the first snow of the year", "repairing an old bicycle",
        "learning to swim as an adult", "a lighthouse keeper", "how bread rises", "moving to a smaller town",
        "a lost umbrella", "the history of the pencil", "growing tomatoes on a balcony", "a broken elevator",
        "night trains", "teaching a dog to wait", "the price of coffee", "an empty football stadium",
        "a family recipe", "why leaves change colour", "a visit to the dentist", "working from a kitchen table",
        "old maps", "a neighbour who plays the trumpet", "saving for a first car", "volcanoes", "a forgotten birthday",
        "public libraries", "the smell of rain", "a school without homework", "choosing a pair of shoes",
        "penguins", "a chess game in the park", "how bridges carry weight", "a very small museum",
        "packing for a long hike", "the invention of the zip fastener", "sharing a flat with a friend",
        "a robot that waters plants", "sleep and memory", "an apology after a quarrel", "the life of a postage stamp",
        "winter in the mountains", "a queue at the supermarket", "beekeeping", "writing letters by hand",
        "a concert that was cancelled", "the first day in a new job", "desert foxes", "fixing a leaking tap",
        "a street market on Saturday", "why people collect things", "the moons of Jupiter", "a ferry in the fog",
        "learning a second language", "a grandmother who learns to code", "the sound of a clock", "planting a tree",
        "a missed flight", "cooking for ten guests", "the colour blue", "a town without cars", "how soap works",
        "a cat that opens doors", "the end of the summer holidays", "keeping a diary", "a football coach's advice",
        "rivers that run dry", "a wedding in the garden", "buying furniture second-hand", "honesty among friends",
        "a night in a tent", "how a compass finds north", "the oldest tree in the village", "a shop that sells silence",
        "running a first marathon", "making cheese at home", "whales and their songs", "a blackout in the city",
        "a letter that came too late", "the manners of cyclists", "paper and its makers", "a garden on a roof",
        "losing an argument well", "thunderstorms", "a job interview by phone", "the history of the sandwich",
        "a puppet theatre", "healthy breakfasts", "an old radio", "the patience of fishermen", "how glaciers move",
        "a shortcut that was none", "tipping in restaurants", "a child's first bicycle", "the care of houseplants",
        "a village choir", "sunburn", "choosing a name for a boat", "the work of a translator", "a drawer full of keys",
        "ants and their roads", "a birthday on a train", "the taste of lemons", "noise in open offices",
        "a painter who sees no red", "the first telephone in a village", "getting up early", "a stolen garden gnome",
        "how clouds are named", "a library bus", "music for studying", "a hotel with one room",
        "falling asleep on a bus",
        "the art of folding shirts", "a swimming pool in winter", "stars seen from a farm", "a debt between brothers",
        "the invention of glasses", "making new friends at fifty", "a map drawn by a child", "frogs after rain",
        "an honest advertisement", "a tram driver's last day", "the rules of a game of marbles",
    ),
    "development": (
        "a harbour in the morning", "saving water at home", "the history of the umbrella", "a lost suitcase",
        "teaching a child to read the clock", "owls", "a bookshop that never closes", "the weight of a backpack",
        "making jam", "a quarrel about a fence", "how magnets work", "a bus that goes nowhere",
        "gifts that cost nothing",
        "an astronaut's garden", "learning to whistle", "the last page of a novel", "a market for used tools",
        "walking to school", "a mountain hut", "the manners of cats", "why the sea is salty", "an unexpected guest",
        "a year without sugar", "the sound of an old door", "a barber who tells stories", "earthworms",
        "a picnic in the rain", "the first photograph", "a neighbourhood newsletter", "choosing a melon",
        "a lake that freezes", "helping a friend to move",
    ),
    "test": (
        "a clockmaker's shop", "saving an injured hedgehog", "the history of the fork", "a power cut during dinner",
        "learning to drive in a big city", "parrots that speak", "a museum of failed inventions",
        "the smell of old books",
        "making paper boats", "a disagreement about music", "how vaccines work", "a bridge between two villages",
        "holidays at home", "a gardener on Mars", "learning to say no", "the first line of a speech",
        "a flea market find",
        "crossing a desert by bus", "a house on stilts", "the patience of nurses", "why the moon has phases",
        "a letter to a future self", "a week without a phone", "the creak of a staircase", "a cook who cannot taste",
        "snails", "a kite in a storm", "the first map of the stars", "a village football club", "choosing a watermelon",
        "a river that changed its course", "returning a lost wallet", "an island with one school", "the price of bread",
        "a carpenter's workshop", "dancing in the kitchen", "the last tram of the night", "an orchard in spring",
        "a photograph of strangers", "the language of flags", "eating alone in a restaurant", "a tunnel under the sea",
        "a dog that is afraid of stairs", "borrowing a ladder", "the invention of the button",
        "a choir without a leader",
        "planning a surprise party", "a frozen waterfall", "the courage to ask", "a pen that writes only the truth",
    ),
}  # fmt: skip

WORDS = (
    "anchor", "apple", "autumn", "bridge", "bright", "candle", "castle", "circle", "cloud", "corner", "courage",
    "curious", "dance", "distant", "dream", "early", "engine", "farmer", "feather", "finger", "forest", "fortune",
    "garden", "gentle", "glass", "golden", "hammer", "harvest", "honest", "hungry", "island", "journey", "kitchen",
    "ladder", "lantern", "letter", "lonely", "marble", "market", "meadow", "memory", "mirror", "morning", "mountain",
    "narrow", "neighbour", "ocean", "orange", "paper", "patient", "pepper", "pocket", "promise", "quiet", "rabbit",
    "ribbon", "river", "sailor", "secret", "shadow", "silver", "simple", "spring", "station", "steady", "stone",
    "summer", "teacher", "thread", "ticket", "tower", "travel", "valley", "velvet", "village", "violin", "window",
    "winter", "wonder", "yellow",
)  # fmt: skip

COMMON = (
    "also", "and", "because", "better", "different", "every", "good", "great", "help", "important", "just", "life",
    "like", "little", "make", "many", "never", "new", "often", "people", "really", "small", "some", "start", "thing",
    "time", "together", "very", "way", "world",
)  # fmt: skip
"""Words that answers often hold, so that leaving them out takes care."""
