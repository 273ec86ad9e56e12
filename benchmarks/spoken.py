"""What is said in the generated dialogues: every list is halved by its even and odd places for fitting and for measuring."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that customers ask; `asked` finds the entries' questions about it, and `unlike` those that are not."""

    asked: re.Pattern[str]
    unlike: re.Pattern[str]
    phrases: tuple[str, ...]


def _topic(asked: str, *phrases: str, unlike: str = r"(?!)") -> Topic:
    return Topic(re.compile(asked, re.IGNORECASE), re.compile(unlike, re.IGNORECASE), phrases)


# fmt: off
TOPICS = (
    _topic(r"\b(pets?|dogs?|animals?)\b", "do they allow pets", "can i bring my dog along", "is {it} pet friendly", "am i allowed to take my puppy with me", "we are traveling with our cat would that be a problem", "what's their policy on animals", unlike="fee|charge|cost|service"),
    _topic(r"\b(wi-?fi|internet|wireless)\b", "do they have wifi", "is there internet there", "can i get online while i'm at {it}", "will i be able to use the internet", "does {it} come with a wireless connection", "i need to send some emails is there wifi for that", unlike="fee|charge|cost|free|password|much"),
    _topic(r"\b(free wi-?fi|free internet|(charge|cost|fee|much).*(wi-?fi|internet)|(wi-?fi|internet).*(charge|cost|fee|free))\b", "is the wifi free", "do i have to pay for the internet", "do they charge for wifi", "does the wireless cost extra", "how much is the wifi at {it}", "is internet access included for free"),
    _topic(r"\bgym|fitness|exercise\b", "is there a gym", "do they have a fitness center", "where could i work out there", "i like to exercise in the morning do they have anything for that", "does {it} have some kind of fitness room", "will there be treadmills or weights to use"),
    _topic(r"\b(pool|swim)", "is there a swimming pool", "do they have a pool", "can we go for a swim at {it}", "my kids love to swim is there any place for that", "does {it} have a pool we could use", "would we be able to swim there"),
    _topic(r"\b(spa|sauna|massages?)\b", "is there a spa", "do they offer massages", "could i get a massage or something at {it}", "does {it} have a spa on site", "i want to relax do they have a spa area", "are there any spa treatments"),
    _topic(r"check-?\s?in time|time.*check-?\s?in|when.*check\s?-?in|check-?in.*(hours|start)", "what time is check in", "when can i check in", "how early can we get into the room", "what's the earliest that i can check in at {it}", "from what time can we move in to our room", "when does check in start"),
    _topic(r"check-?\s?out", "what time is check out", "when do i have to check out", "how late can we stay on the last day", "by when do we need to be out of the room", "what's the latest time to leave the room at {it}", "when is checkout", unlike="check-?in time|when.*check-?in"),
    _topic(r"front desk|reception", "is the front desk open all day", "is the reception open twenty four hours", "if we come late at night will somebody be at the desk", "what are the hours of the front desk", "we get in after midnight is there anyone at reception", "is there always someone at the front desk"),
    _topic(r"dry.?clean", "do they do dry cleaning", "can i get my suit dry cleaned", "is there dry cleaning at {it}", "i have a suit to be cleaned do they do that", "does {it} offer a dry cleaning service", "would they dry clean my dress"),
    _topic(r"laundry", "can i do my laundry there", "is there a laundry service", "do they have washing machines for guests", "where could i wash my clothes at {it}", "does {it} do laundry", "my clothes are dirty can they wash them"),
    _topic(r"housekeeping|rooms? (be )?cleaned", "is there daily housekeeping", "do they clean the room every day", "how often will someone clean our room", "does the staff tidy up the rooms daily", "do they have housekeeping", "will my room get cleaned each day"),
    _topic(r"concierge", "do they have a concierge", "is there a concierge", "is there somebody who can get us tickets and tips like a concierge", "does {it} offer concierge service", "could a concierge help us plan our day", "would there be a concierge around"),
    _topic(r"airport|shuttle", "is there a shuttle to the airport", "do they pick you up from the airport", "how about an airport shuttle", "does {it} run a shuttle", "can they drive me to the airport", "do they have a shuttle service"),
    _topic(r"(luggage|baggage|bags?).*(stor|hold|keep|leave)|(stor|hold|keep|leave).*(luggage|baggage|bags?)", "can i leave my bags there after check out", "do they store luggage", "could they keep our suitcases for a few hours", "is there a place to put our luggage before check in", "does {it} have luggage storage", "would they hold on to my bags", unlike="cost|charge|fee"),
    _topic(r"languages?\b", "what languages do they speak", "does the staff speak spanish", "is there anyone who speaks french", "my mother only speaks german will they understand her", "which languages are spoken at {it}", "do the people there speak other languages"),
    _topic(r"(extra|additional).*beds?|beds?.*extra|\bcots?\b|rollaway", "can we get an extra bed", "is it possible to have another bed in the room", "do they have cots for children", "could they put one more bed in our room", "my son comes too so can i have an additional bed", "can i request an extra bed at {it}", unlike="cost|charge|much|fee"),
    _topic(r"deposit box|safety|\bsafes?\b", "is there a safe in the room", "do they have safety deposit boxes", "where can i lock up my valuables", "i have some jewelry is there a safe for that", "does {it} have a safe", "can i put my passport in a safe there"),
    _topic(r"(security|damage) deposit|deposit (required|needed|amount)|deposit when", "do i have to pay a deposit", "is there a security deposit", "how much is the deposit", "will they ask me for a deposit when i arrive", "is a damage deposit required at {it}", "what about a deposit do they take one", unlike="box"),
    _topic(r"minimum age|age restriction|how old|age (limit|requirement)", "how old do you have to be to check in", "is there a minimum age", "my friend is nineteen can she check in", "what age do i have to be", "do they have an age restriction", "is there an age limit at {it}"),
    _topic(r"heating|heated|heat\b", "are the rooms heated", "is there heating in the room", "it gets cold at night do they have a heater", "will it be warm in the room i mean is there heating", "does {it} have heat", "do the rooms have heating"),
    _topic(r"air.?condition|\ba/?c\b", "do they have air conditioning", "is the room air conditioned", "it will be hot so is there an a c", "do the rooms have ac", "does {it} have air conditioning", "can the rooms be cooled with an air conditioner"),
    _topic(r"elevator|\blifts?\b", "is there an elevator", "do they have a lift", "i can't walk stairs well is there an elevator", "would we have to use the stairs or is there a lift", "does {it} have an elevator", "do they have elevators"),
    _topic(r"meeting|banquet|conference", "do they have meeting rooms", "is there a place to hold a meeting", "could we have a conference there", "i need a banquet room for my company do they have that", "does {it} have facilities for banquets", "can we rent a meeting room"),
    _topic(r"room service", "is there room service", "do they have room service", "can i have food brought up to my room", "could i order dinner to the room", "does {it} do room service", "would they bring meals to our room"),
    _topic(r"breakfast", "do they serve breakfast", "is breakfast included", "can we eat breakfast there in the morning", "what about breakfast do they have it", "does {it} offer breakfast", "is there breakfast for guests", unlike="cost|charge|much|fee|vegetarian"),
    _topic(r"kitchen", "is there a kitchen we can use", "do the rooms have a kitchen", "could i cook my own food there", "we like to cook is there some kind of kitchen", "does {it} have a shared kitchen", "do they have a kitchen for guests", unlike="kitchen (open|close)"),
    _topic(r"wheelchair|disab|accessib|handicap|\bada\b", "is {it} wheelchair accessible", "do they have access for disabled people", "my mom is in a wheelchair can she get in", "my brother uses a wheelchair would that be okay", "is it accessible for people with disabilities", "can you get around in there with a wheelchair", unlike="parking|public transport"),
    _topic(r"\bpark(ing)?\b", "is there parking", "do they have a parking lot", "where can i park my car", "we are driving is there a place to park", "does {it} have parking", "can i leave my car there", unlike="bike|bicycle|free|fee|cost|charge|much|reserv|accessible|disab|handicap|need"),
    _topic(r"free parking|parking.*(free|cost|fee|charge|much)|(cost|fee|charge|much).*park", "is the parking free", "how much is parking", "do they charge for parking", "does it cost anything to park there", "what do i pay for parking at {it}", "is there a fee for parking"),
    _topic(r"bike|bicycle", "is there a place to park my bike", "do they have bike parking", "can i lock up my bicycle there", "we are coming by bike is there a rack", "does {it} have somewhere for bicycles", "where do i put my bike", unlike="rent"),
    _topic(r"smok", "can i smoke there", "is smoking allowed", "do they have a smoking area", "my husband smokes is that okay there", "is there anywhere to smoke at {it}", "are you allowed to smoke"),
    _topic(r"children|kids?\b|kid-friendly|toddler", "is {it} good for kids", "can we bring our children", "are kids okay there", "we have two little ones is that fine", "is it a family friendly place", "would my children like it there", unlike="chair|menu|seat|discount|bed|cost|price"),
    _topic(r"credit cards?", "do they take credit cards", "can i pay with my credit card", "is it okay to pay with visa", "will they accept mastercard", "does {it} accept cards", "i only have a credit card does that work", unlike="apple|google"),
    _topic(r"apple pay", "do they take apple pay", "can i use apple pay", "could i pay with my iphone", "is apple pay okay", "does {it} accept apple pay", "i want to pay with apple pay is that possible"),
    _topic(r"google pay|android pay", "do they take google pay", "can i use google pay", "could i pay with my android phone", "is google pay accepted", "does {it} support google pay", "would google pay work there"),
    _topic(r"crypto|bitcoin", "do they take bitcoin", "can i pay with crypto", "i've got some bitcoins could i use those", "is cryptocurrency accepted at {it}", "would they accept cryptocurrency", "does {it} let you pay in bitcoin"),
    _topic(r"(payment|pay)\b.*(method|form|type|option|accept|kind)|(method|form|type|option|accept|kind).*\bpay(ment)?", "how can i pay", "what forms of payment do they take", "what can we pay with", "which payment methods are accepted at {it}", "what kind of payment do they accept", "can you tell me how one pays there", unlike="apple|google|crypto|credit"),
    _topic(r"outdoor|outside|patio|al fresco", "can we sit outside", "do they have outdoor seating", "is there a patio", "the weather is nice is there a terrace or something", "does {it} have tables outdoors", "could we eat outside"),
    _topic(r"deliver", "do they deliver", "is there delivery", "can they bring the food to my house", "could i have it delivered to my hotel", "does {it} offer delivery", "would they deliver to my place", unlike="take"),
    _topic(r"take-?\s?out|takeaway|to.?go\b|carry.?out|pick.?up", "do they do takeout", "can i get the food to go", "could we pick something up and eat it at home", "is it possible to take the food away", "does {it} do take out orders", "can you order to go there", unlike="deliver"),
    _topic(r"alcohol|beer|wine|cocktail|full bar", "do they serve alcohol", "can i get a beer there", "do they have wine", "is there a bar with drinks", "does {it} sell alcohol", "would we be able to have a cocktail", unlike="bring|own|happy"),
    _topic(r"byob|(bring|own).*(bottle|wine|alcohol|drink|beer)", "can we bring our own wine", "is it b y o b", "do they allow you to bring your own bottle", "i have a nice bottle of wine could i bring that", "does {it} let people bring their own drinks", "may we bring our own alcohol"),
    _topic(r"happy hour", "is there a happy hour", "do they have happy hour", "are drinks cheaper at some time like a happy hour", "what about happy hour specials", "does {it} do a happy hour", "when would happy hour be"),
    _topic(r"vegan", "do they have vegan food", "is there anything vegan", "my girlfriend is vegan can she eat there", "are there vegan dishes on the menu", "does {it} have vegan options", "would a vegan find something"),
    _topic(r"vegetarian", "do they have vegetarian dishes", "is there anything for vegetarians", "i don't eat meat is there something for me", "are there meatless options", "does {it} have a vegetarian menu", "my wife is vegetarian what can she get", unlike="breakfast"),
    _topic(r"gluten", "do they have gluten free food", "is there anything gluten free", "i can't eat gluten is that a problem", "are there gluten free options", "does {it} do gluten free", "my daughter has celiac can she eat there gluten free"),
    _topic(r"halal", "is the food halal", "do they have halal", "i only eat halal meat do they have that", "are there halal options on the menu", "does {it} serve halal", "would there be halal dishes"),
    _topic(r"live music|bands?\b", "do they have live music", "is there music in the evening", "are there bands playing there", "would there be a live band", "does {it} have live music", "is there some live entertainment like music"),
    _topic(r"\btvs?\b|television", "do they have tvs", "is there a tv", "can we watch the game there", "i want to see the match is there a television", "does {it} have a tv", "are there screens to watch sports", unlike="room"),
    _topic(r"nois|loud|quiet", "how loud is it", "is it a quiet place", "how noisy does it get", "could we talk there or is it too loud", "what's the noise level at {it}", "is {it} noisy"),
    _topic(r"groups?\b|large part|parties", "is it good for groups", "can they handle a big group", "we are a group of fifteen would that be fine", "do they take large parties", "is {it} good for large groups", "could a big party eat there"),
    _topic(r"dress|attire", "is there a dress code", "what should i wear", "can i come in jeans", "do i need to dress up", "how do people dress at {it}", "would i need a jacket or tie"),
    _topic(r"ambian?[ce]+|atmosphere|vibe", "what's the atmosphere like", "what's the ambience", "is it romantic or more casual", "can you describe the vibe of the place", "how is the ambiance at {it}", "what kind of atmosphere do they have"),
    _topic(r"high.?chairs?|booster|(seating|seats?) for toddl|babies", "do they have high chairs", "is there a high chair for my baby", "our baby needs a seat do they have those", "could we get a highchair", "does {it} have high chairs", "would there be chairs for toddlers"),
    _topic(r"reserv", "do they take reservations", "do i need a reservation", "can we just walk in", "is it necessary to reserve ahead", "does {it} accept reservations", "could i come without booking a table", unlike="park|table size"),
    _topic(r"drive.?thr", "is there a drive thru", "do they have a drive through", "can i order from my car", "could i just drive up and get food", "does {it} have a drive through window", "would they have a drive through"),
    _topic(r"opening (hours|times?)|when.*open|hours of operation|what time.*(open|close)|business hours", "when do they open", "what are the opening hours", "until when are they open", "how late can we go there", "what time does {it} close", "what hours are they open", unlike="desk|kitchen|pool|gym|restaurant|fitness"),
    _topic(r"\b(entrance|entry|admission)\b|how much.*(visit|ticket|cost|fee)|cost.*(visit|adult)", "how much is the entrance fee", "do i have to pay to get in", "what does a ticket cost", "is it free to visit", "what's the admission for {it}", "does {it} cost anything", unlike="park|wi-?fi|internet|bed|pet|breakfast|shuttle|luggage"),
    _topic(r"\btours?\b|guide", "are there guided tours", "do they offer tours", "can somebody show us around", "is there a tour we could join", "does {it} have tours", "could we get a guide"),
    _topic(r"discount|military", "are there any discounts", "do they have a discount for kids or seniors", "can i get it cheaper as a student", "do soldiers pay less", "does {it} give discounts", "is there some kind of discount"),
)

LEADS = ("", "", "", "okay ", "great ", "oh and ", "yeah ", "uh ", "alright um ", "perfect thank you ", "that sounds good ", "and ", "um okay ", "cool ", "yes and ", "got it ", "hmm ", "one more thing ", "thanks that's great ", "sure ", "ah okay great and ", "okay so before i book ", "sounds nice ", "wonderful ")
GREETINGS = ("", "", "", "", "hi ", "hello ", "hey ", "good morning ")
ASKS = ("", "", "", "", "can you tell me ", "do you know ", "i was wondering ", "could you check for me ", "i'd like to know ", "let me ask you ", "i have a question ", "could you find out ", "i just want to make sure ", "one question ")
TAILS = ("", "", "", "", " there", " at that place", " by any chance", " or not", " please", " do you know", " if you know", " uh there", " for us")
FILLERS = ("uh", "um", "uh", "like", "you know", "well", "er", "i mean")

WANT_PLACE = {
    "hotel": ("i need a place to stay in {area}", "hi i'm looking for a hotel", "i'm looking for {price} lodging", "can you help me find somewhere to sleep in {area}", "we want a room in a {price} guest house", "hello uh i'd like to find a hotel near {area}"),
    "restaurant": ("i'm looking for a {price} restaurant", "where can i eat {food} food", "hi i want to have dinner in {area}", "can you recommend a {food} restaurant", "uh we are hungry and want something {price}", "i'd like to find a place that serves {food} food"),
    "train": ("i need a train to cambridge", "when does the train to london leave", "i'd like a train ticket for {day}", "hi can you find me a train that gets there by {time}"),
    "taxi": ("i need a taxi to get there", "can you call me a cab", "we want a taxi at {time}", "book me a taxi between the two"),
    "attraction": ("what is there to see in {area}", "i'm looking for something fun to do", "hi can you recommend a tourist attraction", "i'd like to visit a museum or a park", "are there any sights around {area}", "we want to go sightseeing today"),
}
WANT_NAMED = ("i'm looking for {name}", "can you tell me about {name}", "have you heard of {name}", "i want to go to {name}", "a friend told me about {name}", "could you look up {name} for me", "hi i'd like to book {name}", "do you have any information on {name}")
ASK_BACK = ("what price range would you like", "do you have an area in mind", "sure any preference on the location", "okay how much do you want to spend", "what part of town would you like", "certainly anything particular you are looking for", "is there a specific type you want", "alright do you care about the price")
ANSWER_BACK = ("something {price}", "in {area} if possible", "i don't really care", "uh {price} would be good", "no preference", "it should be in {area}", "no it doesn't matter", "maybe near {area}")
OFFER_ONE = ("how about {name}", "i found {name} it is {price}", "there is {name} in {area}", "okay {name} is a nice place", "i would recommend {name}", "sure i have {name} would you like that", "i've got one called {name}", "you could try {name} it's {price} and in {area}", "{name} matches what you want")
OFFER_MORE = ("there are a few {first} {second} and {name}", "i have {name} and {first} which one do you like", "you can choose between {first} and {name}", "some options are {name} {first} or {second}", "we have {first} in {area} and also {name}", "both {name} and {first} are {price}")
PICK_NAMED = ("let's take {name}", "{name} sounds good", "i think {name}", "i'll go with {name}", "tell me more about {name}", "uh {name} please")
PICK = ("that sounds good", "okay let's go with that", "yeah i like that one", "that one is fine", "sure that works", "yes please", "great i'll take it", "perfect")
CONFIRM_NAMED = ("okay {name} is available", "all right so {name} then", "{name} it is", "okay i'll look at {name} for you", "good choice {name} is {price}", "sure {name} is in {area}")
REFUSE = ("hmm no do you have something else", "no not that one", "i'd rather have something else", "is there anything different", "no i've been there already", "uh not really what else is there")
CHANGE = ("no rather {name}", "actually i'd prefer {name}", "wait let's do {name} instead", "hmm i changed my mind {name} please", "on second thought i'd like {name}", "can we do {name} instead")
BOOK = ("please book it for {people} people", "can you make a reservation for {people} on {day}", "i'd like to book it for {nights} nights starting {day}", "i need it for {people} people at {time}", "book a room for {people} for {nights} nights", "could you reserve a table for {people} at {time} on {day}", "yes for {day} at {time}", "we will be {people} people", "let's do {time}", "we'd stay {nights} nights from {day}")
BOOK_ASK = ("for how many people", "what day would you like", "when should i book it for", "how many nights will you stay", "at what time", "and what name should it be under", "would you like me to make a booking", "shall i book it for you", "how many guests", "which day and time")
BOOKED = ("okay it's booked your reference number is {reference}", "your booking was successful the code is {reference}", "done the confirmation is {reference}", "all set for {day}", "i made the reservation for {people} people", "it is booked for {day} at {time}")
ANYTHING = ("anything else", "can i help with something else", "is there anything else you need", "what else can i do for you", "any other questions", "anything more for today")
DETAILS = ("what is the address", "can i have the phone number", "which area is it in", "what's the price range", "how expensive is it", "what kind of food do they serve", "could you give me their number and address", "where exactly is it located", "is it a hotel or a guest house", "how many stars does it have", "what's the postcode", "what type of place is it")
DETAIL_ANSWERS = ("it is in {area}", "the number is {reference} {reference}", "it's {price}", "they serve {food} food", "the address is {reference} {area} street", "it has four stars")
THANKS = ("thank you that's all", "no that's it thanks", "okay bye", "great thanks a lot have a good day", "no i'm good thank you", "that will be all", "thank you so much you've been helpful", "nothing else for now", "perfect thanks bye bye", "no thanks")
CHATTER = ("yes", "okay", "sure go ahead", "yeah that's right", "my name is john smith", "it's for me and my wife", "no that's too expensive", "let me think about it", "the earlier the better", "uh i don't know", "either one is fine", "that's correct", "hold on a second", "sorry can you repeat that", "yes please do that", "no i don't need a booking just now")
AREAS = ("the mission", "north beach", "the city center", "the marina", "union square", "the east", "chinatown", "the north", "soma", "the south side", "fishermans wharf", "nob hill")
PRICES = ("cheap", "moderately priced", "expensive", "affordable", "not too expensive", "upscale")
FOODS = ("chinese", "italian", "mexican", "indian", "thai", "korean", "french", "japanese", "turkish", "american")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "tomorrow")
TIMES = ("six p m", "seven thirty", "noon", "eight fifteen", "five o'clock", "half past six", "eleven thirty")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight")
KINDS = {"hotel": ("the hotel", "this hotel", "that place"), "restaurant": ("the restaurant", "this restaurant", "that place"), "attraction": ("the place", "this place", "that attraction"), "train": ("the train", "this train", "the train ride"), "taxi": ("the taxi", "the cab", "this taxi")}
RIDES = ("there is one leaving at {time}", "okay one leaves on {day} at {time} shall i book it", "sure the ride takes half an hour and leaves at {time}", "i have one for you at {time} it costs {reference} pounds")
# fmt: on
