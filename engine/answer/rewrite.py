"""A follow-up made whole: what the last question was about, put where the new one leans on it.

Rules, not a model, so that it works beside the smallest one and never invents: only words of the person's own last
question are carried over.
"""

from __future__ import annotations

import re

from engine.answer.words import STOP

WH = r"what|which|who|whom|whose|how|when|where|why"
BE = r"is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|may|might|must|isn't|aren't|don't|doesn't|didn't|can't|won't"
I = r"i|we|you|one|he|she|it|they|people|someone|somebody|anyone"  # noqa: E741
OPENING = re.compile(r"^\s*(?:(?:and|but|so|also|then|ok|okay|well|now|or)\b[\s,]*)+", re.IGNORECASE)
LEANING = re.compile(r"\b(?:(?P<whose>its|their|his)|(?P<what>it|they|them|him|he|she|these|those|this|that|ones?|her))\b(?!-)", re.IGNORECASE)
"""A word that stands for something said before."""
BEFORE_NOUN = ("this", "that", "these", "those", "her", "one", "ones")
"""Those that do so only where no noun follows them."""
EXPLETIVE = re.compile(
    r"\s+(?:is |was )?(?:true|possible|necessary|likely|ok|okay|better|worth|safe|known|takes?|took|costs?)\b.*\b(?:that|to)\b", re.IGNORECASE
)
"""“Is it true that”, “how long does it take to”: there, “it” stands for nothing."""
CLAUSE = re.compile(r"[,;:]|\b(?:when|if|after|before|while|once|because|that|which|who|whom|and|or|but|then)\b", re.IGNORECASE)
"""Where another clause begins."""
GREETING = re.compile(r"\W*(?:hello|hi|hey|thanks|thank you|good \w+|bye|yes|no|ok(?:ay)?)\W*", re.IGNORECASE)
SWAP = re.compile(r"^\s*(?:what|how) about (?:the |an? )?(?P<noun>[^?.!,]+?)\s*[?.!]*$", re.IGNORECASE)
AND = re.compile(r"^\s*(?:and|or) (?:the |an? |for |in |of |with |on )*(?P<noun>[^?.!,]+?)\s*[?.!]*$", re.IGNORECASE)
EMPTY = re.compile(
    rf"(?:{WH}|{BE}|{I}|many|much|long|often|old|far|own|please|happens?|called|means?|running|waiting|paused|finished|stopped|queued|current|existing)",
    re.IGNORECASE,
)
"""Words that name nothing, besides the stop words: how a thing is now is not what it is."""
WORD = re.compile(r"\w(?:[\w'’.-]*\w)?")


def rewrite(question: str, before: str) -> str:
    """The question as it would be asked alone. It comes back as it is when it leans on nothing, or when ``before``, the
    last question, has nothing to lean on."""
    topic = topic_of(before)
    if not topic:
        return question
    # “What about storks?”, “and storks?”: the last question, about something else.
    for pattern in (SWAP, AND):
        if (match := pattern.match(question)) and _names(match["noun"]):
            return _swapped(before, topic, match["noun"])
    bare = OPENING.sub("", question) or question
    if re.fullmatch(rf"\s*(?:{WH})(?: (?:so|not|exactly|else))?\s*[?.!]*", bare, re.IGNORECASE):
        return f"{bare.strip(' ?.!').capitalize()}: {before}"
    for match in LEANING.finditer(bare):
        if _leans(bare, match):
            whole = bare[: match.start()] + _put(match, topic, before) + bare[match.end() :]
            return whole[:1].upper() + whole[1:]
    return question


def _put(match: re.Match[str], topic: str, before: str) -> str:
    """The topic in the form of the word that it takes the place of, with its article."""
    said = match.group().lower()
    if said in ("he", "she", "him", "his", "her"):
        # A person is meant: of “Tesla's first job”, the name alone.
        named = re.match(r"(?:[^\W\d_a-z][\w.-]*\s*)+", topic)
        topic = named.group().strip() if named else topic
    elif said not in ("one", "ones") and (article := re.search(rf"\b(the|an?|my|your|our) (?:\w+ )?{re.escape(topic)}", before, re.IGNORECASE)):
        mine = article[1].lower()
        topic = f"{mine if mine in ('my', 'your', 'our') else 'the'} {topic}"
    return topic if not match["whose"] else f"{topic}'" if topic.endswith("s") else f"{topic}'s"


def topic_of(question: str) -> str:
    """What a question is about: its first name (Eiffel Tower), or else the first thing that it names (hybrid search),
    without its verbs. Empty when it names nothing."""
    phrases = [] if GREETING.fullmatch(question) else _phrases(question)
    names = [phrase for phrase in phrases if any(word[:1].isupper() and word[1:2].islower() for word in phrase)]
    return " ".join((names or phrases or [[]])[0])


def _phrases(question: str) -> list[list[str]]:
    """Runs of words that name things, in order: no stop words, no verb where a verb is to be expected."""
    text = OPENING.sub("", question)
    words = [match.group() for match in WORD.finditer(text)]
    phrases: list[list[str]] = [[]]
    for number, word in enumerate(words):
        previous = words[number - 1].lower() if number else ""
        expected = re.fullmatch(rf"{I}|to|who|can|could|should|would|will|must|not{'|what' if number == 1 else ''}", previous)
        if word.lower() in STOP or EMPTY.fullmatch(word) or (expected and not word[0].isupper()):
            phrases.append([])
        else:
            phrases[-1].append(word)
    return _without_verb(text, [phrase for phrase in phrases if phrase])


def _without_verb(text: str, phrases: list[list[str]]) -> list[list[str]]:
    """“do herons eat”: the last word of what stands after “do” and has no “I” in it is the verb."""
    match = re.search(rf"\b(?:do|does|did)\s+(?:the |an? |my |your |our |their )?(?!(?:{I}|the|an?)\b)(?P<rest>.*)", text, re.IGNORECASE)
    if not match:
        return phrases
    first = WORD.search(match["rest"])
    for phrase in phrases:
        if first and phrase[0] == first.group() and len(phrase) > 1 and phrase[-1].islower():
            return [run[:-1] if run is phrase else run for run in phrases]
    return phrases


def _names(noun: str) -> bool:
    """Whether this is a thing's name, rather than a whole question or one more word that leans."""
    words = noun.lower().split()
    return (
        bool(words)
        and len(words) <= 5
        and not any(re.fullmatch(rf"{WH}|{BE}|{I}|them|its|their|his|her|this|that|these|those|ones?", word) for word in words)
    )


def _swapped(before: str, topic: str, noun: str) -> str:
    at = before.lower().find(topic.lower())
    return before[:at] + noun + before[at + len(topic) :] if at >= 0 else f"{noun}: {before}"


def _leans(question: str, match: re.Match[str]) -> bool:
    """Whether this word stands for something that the question itself does not name."""
    what = (match["what"] or "").lower()
    before, after = question[: match.start()], question[match.end() :]
    if (what == "it" and EXPLETIVE.match(after)) or (what in ("one", "ones") and re.match(r"\s+of\b", after)):
        return False
    following = [word.group().lower() for word in WORD.finditer(after)]
    # “How long does that take?”: one word after it is its verb; “how do I pause that job?” names the job.
    verb = len(following) == 1 and (following[0].endswith("ed") or re.search(r"\b(?:do|does|did)\s+$", before, re.IGNORECASE))
    if what in BEFORE_NOUN and following and not verb and following[0] not in STOP and not re.fullmatch(BE, following[0]):
        return False
    if len(before.split()) <= 1:
        return True
    # “What colour is it?” only asks for a colour.
    opened = re.match(rf"\s*(?:{WH})\b(?:\s+[^\s,]+){{0,3}}?\s+(?:{BE})\b", before, re.IGNORECASE)
    named = before[opened.end() :] if opened else before
    if not match["whose"]:
        # In one clause a pronoun is never what the clause names (“Did Spain join it?”); in the next one it may be
        # (“When a job fails, how do I resume it?”).
        ends = [clause.start() for clause in CLAUSE.finditer(named)]
        named = named[: ends[-1]] if ends else ""
    return not _phrases(named)
