#include "services/brain/patterns.h"

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace arc::brain::patterns {
namespace {

using Phrases = std::initializer_list<absl::string_view>;

// Any of the phrases, each a regular expression.
std::string Any(Phrases phrases) {
  return absl::StrCat("(?:", absl::StrJoin(phrases, "|"), ")");
}

// Any number of the phrases, each followed by a space or the end.
std::string Chain(Phrases phrases) {
  return absl::StrCat("(?:", Any(phrases), "(?: |$))+");
}

// Any number of the phrases as words that lead into another phrase.
std::string Lead(Phrases phrases) {
  return absl::StrCat("(?:", Any(phrases), " )*");
}

// Any number of the phrases as words that follow another phrase.
std::string Tail(Phrases phrases) {
  return absl::StrCat("(?: ", Any(phrases), ")*");
}

std::string Greetings() {
  return R"((?:hi|hello|hey|hiya|howdy|greetings|(?:good )?(?:morning|afternoon|evening)|good day)(?: there| everyone| again| all| guys| folks)?)";
}

#define ARC_PATTERN(name, text)                       \
  const RE2& name() {                                 \
    static const auto* const pattern = new RE2(text); \
    return *pattern;                                  \
  }

}  // namespace

ARC_PATTERN(Greeting, absl::StrCat(Greetings(), "(?: kiosk| robot| friend)?"))
ARC_PATTERN(GreetingPrefix, absl::StrCat("^(?:", Greetings(), " )+"))

ARC_PATTERN(Thanks, absl::StrCat("(?:ok |okay |great |perfect )?(?:many )?(?:thanks|thank you|cheers|thx|ta)",
                                 Tail({"a lot", "so much", "very much", "again", "anyway", "a bunch",
                                       "a million", "mate", "man", "buddy", "guys", "love", "dear",
                                       "everyone", "for (?:that|your help)"})))
ARC_PATTERN(ThanksPrefix, "^(?:thanks|thank you|cheers) (?:but )?")
ARC_PATTERN(ThanksSuffix,
            "(?: (?:and )?(?:many )?(?:thanks|thank you|cheers|thx)(?: (?:a lot|so much|very much|mate))?)$")

ARC_PATTERN(Goodbye,
            absl::StrCat(Lead({"ok", "okay", "thanks", "thank you", "cheers", "alright", "and", "ta",
                               "very much", "a lot", "so much", "right"}),
                         Any({"good ?bye", "bye(?: bye)?", "see you", "see ya", "take care", "farewell",
                              "so long",
                              "have a (?:nice|good|great|lovely) (?:day|one|evening|night|weekend)"}),
                         Tail({"later", "then", "now", "everyone", "thanks", "thank you", "soon", "around",
                               "tomorrow"})))

ARC_PATTERN(
    Repeat,
    absl::StrCat(
        Lead({"sorry", "i am sorry", "pardon", "love", "mate", "dear", "excuse me", "can you", "could you",
              "would you", "will you"}),
        Any({absl::StrCat("(?:say|repeat|tell me)",
                          Tail({"that", "it", "this", "what you said", "again", "once more", "one more time",
                                "for me", "the last (?:bit|part|thing)"})),
             "come again", "pardon(?: me)?", "what(?: was| did you say| is)?(?: that)?(?: again)?",
             "say what", "what did you (?:just )?say",
             R"((?:i )?(?:did not|could not|do not|can not) (?:quite )?(?:hear|catch|get)(?: (?:you|that|it|what you said|a word))*)",
             "(?:i )?did not understand(?: (?:you|that|it))?", "one more time", "once more", "again",
             "repeat"})))

ARC_PATTERN(
    Help,
    Any({"(?:can|could|would) you (?:please )?help(?: me)?(?: out)?(?: with (?:this|my order))?",
         "(?:i )?(?:need|want|would like|could use)(?: (?:some|your|a bit of|a little))? (?:help|assistance)",
         "help(?: me)?(?: out)?",
         "how (?:does|do|is) (?:all )?(?:this|it|that|the kiosk|this (?:thing|machine|kiosk)) works?",
         R"(how (?:do|can|should|would) (?:i|we|you) (?:order|use (?:this|it)|do (?:this|it|that)|start|begin|pay)(?: .*)?)",
         "what (?:can|do|should) i (?:say|do)(?: (?:here|now|next))?",
         "i am (?:a bit )?(?:lost|confused|stuck)",
         R"(i do not (?:know|understand|get) (?:how )?(?:(?:to (?:use|do|work) )?(?:this|it)|this (?:thing|machine))(?: works?)?)",
         "i do not know what to (?:do|say)", "(?:i|we) (?:have )?never (?:used|done|tried|seen) .*",
         ".*\\bhow (?:does|do|is) (?:this|it) works?", "help .{0,20}understand.{0,20}"}))

ARC_PATTERN(Yes, Chain({"yes",
                        "yeah",
                        "yep",
                        "yup",
                        "ya",
                        "sure(?: thing)?",
                        "ok",
                        "okay",
                        "of course",
                        "absolutely",
                        "definitely",
                        "correct",
                        "right",
                        "exactly",
                        "that is (?:right|correct|fine|good|ok|okay|it|perfect)",
                        "go ahead",
                        "go for it",
                        "go on",
                        "do it",
                        "do",
                        "sounds (?:good|great|fine|perfect)",
                        "fine(?: by me)?",
                        "perfect",
                        "great",
                        "why not",
                        "certainly",
                        "alright",
                        "all right",
                        "indeed",
                        "i do",
                        "let us do (?:it|that)",
                        "let us go",
                        "i would(?: love (?:to|that))?",
                        "that would be (?:great|nice|good|lovely)",
                        "good",
                        "works for me",
                        "confirm",
                        "affirmative",
                        "i am sure",
                        "please do",
                        "thanks",
                        "thank you",
                        "then",
                        "that works",
                        "lovely",
                        "very well",
                        "yes i am",
                        "i am",
                        "by all means"}))
ARC_PATTERN(YesPrefix, absl::StrCat("^(?:",
                                    Any({"yes", "yeah", "yep", "yup", "sure", "ok", "okay", "alright",
                                         "right", "great", "perfect", "fine", "well", "so"}),
                                    " )+(?:and |but |then )?"))
ARC_PATTERN(
    Accept,
    absl::StrCat(
        Lead({"yes", "yeah", "yep", "sure", "ok", "okay", "no", "and", "but", "well", "alright", "fine",
              "then", "it does not matter", "never mind"}),
        Any({absl::StrCat(
                 "(?:i )?", Lead({"will", "would", "do", "still", "can", "am going to", "really", "just"}),
                 Any({"take", "have", "try", "want", "get", "like", "order", "do", "add", "go (?:for|with)",
                      "would like", "give me", "like to (?:have|try|get|order)", "put in"}),
                 " (?:me )?",
                 Any({"it", "that", "this", "them", "those", "the first one", "one", "that one", "this one",
                      "one of (?:those|these|them)", "some", "some of (?:that|those)"}),
                 Tail({"anyway", "still", "anyhow", "regardless", "though", "then", "to my (?:order|cart)",
                       "thanks", "too", "as well"})),
             "(?:give|hand) (?:it|that|one|them) to me(?: anyway)?", "add it", "i still do", "that one",
             "anyway", "it is (?:fine|ok|okay)", "i do not (?:mind|care)",
             "i can (?:eat|have) (?:it|that)"})))

ARC_PATTERN(No, Chain({"no",
                       "nope",
                       "nah",
                       "no way",
                       "not really",
                       "not (?:right )?(?:now|yet|today|anymore|that|this time|for me)",
                       "never ?mind",
                       "do not",
                       "i do not(?: think so| want (?:it|that|them|to|those|any))?",
                       "i would rather not",
                       "rather not",
                       "none(?: of (?:those|them|these|that))?",
                       "neither(?: of (?:those|them|these))?",
                       "nothing(?: (?:really|for me|right now|today))?",
                       "wait(?: a (?:minute|moment|second|sec))?",
                       "hold on",
                       "hang on",
                       "one (?:moment|second|minute)",
                       "stop",
                       "i am (?:good|fine|ok|okay|all right)",
                       "forget (?:it|that)",
                       "leave (?:it|that)",
                       "skip (?:it|that)",
                       "thanks",
                       "thank you",
                       "negative",
                       "not at all",
                       "go back",
                       "back",
                       "i changed my mind",
                       "i have changed my mind",
                       "just a (?:moment|second|minute)",
                       "i am not (?:ready|done|finished|sure)(?: yet)?",
                       "something else",
                       "that is (?:wrong|not right)",
                       "actually",
                       "i will pass",
                       "pass",
                       "i am still (?:ordering|thinking)",
                       "better not",
                       "oops"}))

ARC_PATTERN(
    Cancel,
    Any({absl::StrCat(
             Lead({"no", "just", "i want to", "i would like to", "can you", "can i", "can we", "could you",
                   "let us", "actually", "sorry", "let me", "ok", "okay"}),
             R"((?:cancel|abort|stop|drop|forget(?: about)?|delete|scrap|scratch|bin)(?: (?:my|the|this|that|our))?(?: (?:whole|entire|complete))? ?(?:order|everything|it all|thing|all of (?:it|that)|all|session)?)",
             Tail({"now", "then", "again", "and leave"})),
         R"((?:i|we) (?:do not|would not) want (?:anything|to order)(?: (?:anymore|any more|now|today|at all))*)",
         "i (?:want|would like) to (?:cancel|leave|quit)(?: (?:my|the) order)?",
         "(?:forget|cancel|scrap|bin) the (?:whole|entire) (?:thing|order|lot)\\b.*",
         "forget (?:it all|everything)", "quit", "exit", "i am leaving"}))

ARC_PATTERN(Filler,
            absl::StrCat("(?:(?:ok|okay|right|yeah|yes|alright|now|oh|no|hang on|hold on|wait) )*", "(?:",
                         Any({"so",
                              "well",
                              "like",
                              "and",
                              "but",
                              "basically",
                              "anyway",
                              "let me (?:think|see|have a look)",
                              "let us see",
                              "you know",
                              "i mean",
                              "what else",
                              "where was i",
                              "i am (?:just )?thinking",
                              "just thinking",
                              "thinking",
                              "give me a (?:second|sec|minute|moment)",
                              "one (?:second|sec)",
                              "just a sec",
                              "wow",
                              "whoa",
                              "gosh",
                              "jeez",
                              "that is funny",
                              "funny",
                              "dear me",
                              "about (?:it|that)",
                              "for a (?:second|minute|moment)",
                              "what (?:do|shall) i want"}),
                         "(?: |$))+"))

ARC_PATTERN(
    Undo,
    Any({absl::StrCat(
             Lead({"no", "sorry", "actually", "wait", "and", "can you", "could you", "just", "ok", "okay"}),
             R"((?:scratch|undo|remove|delete|cancel|drop|take (?:away|off|out)|get rid of|forget|lose|take) (?:that|it|this|them|those|these)(?: one| ones| last one)?)",
             Tail({"off", "out", "away", "again", "then", "from (?:my|the) (?:order|cart)", "back out"})),
         "undo(?: (?:the )?last(?: one| thing)?)?",
         R"((?:i )?(?:do not want|do not need|changed my mind about) (?:that|it|this|them|those)(?: one)?(?: (?:anymore|any more|after all))?)"}))

ARC_PATTERN(ButNotAll, ".*\\b(?:everything|all)\\b.*\\b(?:except|but|apart from|other than|besides|bar)\\b.+")

ARC_PATTERN(StartOver, absl::StrCat(".*\\b",
                                    Any({"start(?: all)? (?:over|again|afresh|fresh|anew|new)", "begin again",
                                         "restart", "from scratch", "from the (?:beginning|start|top)",
                                         "new order", "clear (?:my|the|our) (?:order|cart|basket)",
                                         "empty (?:my|the|our) (?:order|cart|basket)",
                                         "clear (?:it all|everything)", "remove everything",
                                         "delete everything", "take everything (?:off|out)", "reset"}),
                                    "\\b.*"))

ARC_PATTERN(
    Recommend,
    absl::StrCat(
        "(?:.* )?",
        Any({"recommend(?:ation|ations|s)?",
             "suggest(?:ion|ions|s)?",
             "surprise me",
             "your favou?rites?",
             "most popular",
             "best ?sellers?",
             "goes? (?:well |nicely |good |best )?with (?:it|that|this|them|those|my order)",
             "what goes (?:well |nicely |good |best )?with",
             "can not decide",
             "what should (?:i|we) (?:get|have|order|eat|try|take)",
             "what do (?:most )?(?:people|others|customers)",
             "your best",
             "you pick",
             "you choose",
             R"((?:pick|choose|find) (?:something|anything|one|a (?:dish|meal))(?: (?:nice|good))? for (?:me|us))",
             "(?:pick|choose) for (?:me|us)",
             "what would you (?:get|have|order|pick|eat|go for|go with)",
             "not sure what (?:to|i)",
             "do not know what (?:to (?:get|have|order|eat)|i want)",
             "help me (?:decide|choose)",
             "specials?(?: of the day)?(?: today)?$"}),
        "(?: .*)?"))
ARC_PATTERN(
    MayRecommend,
    absl::StrCat("(?:.* )?",
                 Any({"(?:is|are)(?: really)? (?:good|popular|best|nice|tasty|delicious)(?: here| today)?$",
                      "the best (?:thing|dish|item)s?", "popular"}),
                 "(?: .*)?"))

ARC_PATTERN(
    ShowCart,
    absl::StrCat(
        "(?:.* )?",
        Any({R"((?:what|which|show|read|repeat|check|see|tell|view|list|go|look|open|confirm|review|display|run)\b.*\b(?:my|our|the) (?:order|cart|basket|bag|tray|list)\b.*)",
             R"(what (?:all )?(?:have|did|do) (?:i|we) (?:got|have|order|ordered|get|add|already have|picked|chosen)(?: .*)?)",
             "(?:my|the) (?:order|cart|basket)(?: so far)?",
             "what (?:i|we) have(?: got| ordered)?(?: so far)?", "what is (?:in|on) (?:it|there) so far"})))
ARC_PATTERN(
    Total,
    absl::StrCat(
        "(?:.* )?",
        Any({R"((?:how much|what|tell me|the|my)\b.*\b(?:total|altogether|all together|in all|in total|all in all|all of (?:it|that|this)|everything(?: together)?|do (?:i|we) owe|(?:it|that|this) (?:all )?comes? to|my order|the whole (?:thing|order)|damage|so far)\b.*)",
             "total", "the total", "how much do (?:i|we) (?:owe|have to pay)(?: you)?",
             "how much is (?:that|it) (?:now|all|then)", "what (?:do|will) (?:i|we) (?:owe|pay)(?: you)?"})))

ARC_PATTERN(
    AnyOfThem,
    R"((?:.* )?(?:any|either|whatever|whichever|you (?:choose|decide|pick)|(?:do|does) not (?:really )?(?:matter|care|mind)|no preference|surprise me|up to you|not fussy)(?: .*)?)")

namespace {

std::string ClosingLead() {
  return absl::StrCat("(?:^| )",
                      Lead({"and", "no", "nope", "nah", "ok", "okay", "yes", "yeah", "but", "then", "so",
                            "i think", "i guess", "now", "well", "great", "perfect", "alright"}));
}
std::string ToWant() {
  return absl::StrCat(
      "(?:",
      Any({"(?:can|could|may) (?:i|we)", "let (?:me|us)",
           "(?:i|we) (?:would like|want|need|am ready|are ready|will|would love|am going|are going)(?: to)?",
           "ready to", "go(?: ahead and)?", "go to", "proceed to", "take (?:me|us) to", "how about i"}),
      " )*");
}

}  // namespace

ARC_PATTERN(
    CheckoutSuffix,
    absl::StrCat(
        ClosingLead(),
        Any({R"((?:that|this|it) (?:is|will be|would be|should be|does|ought to be) ?(?:all|it|everything|enough|about it)?(?: i (?:need|want))?)",
             "(?:that|this) (?:should|will|would|ought to) (?:do|do it|be it|be all|be everything)",
             "that is (?:me|us) (?:done|finished|sorted|all)",
             "i (?:am|think i am) (?:all )?(?:done|finished|good to go|all set|set)(?: ordering)?",
             "(?:we are|we will be|i think we are) (?:all )?(?:done|finished|good|set|ready|all set)",
             "(?:all )?done", "all set", "nothing (?:else|more|further)", "no more(?: for (?:me|us))?",
             "(?:i|we) (?:do not|will not) (?:want|need) anything (?:else|more)",
             absl::StrCat(ToWant(), "(?:the )?check ?out"),
             "(?:finish|complete|place|finali[sz]e|submit|send) (?:my|the|our) order"}),
        Tail({"now", "then", "for (?:me|us|now|today)", "today", "here", "nicely", "me", "us", "just fine",
              "i think", "i guess", "thanks", "thank you", "with (?:my|the) order"}),
        "$"))
ARC_PATTERN(PaySuffix,
            absl::StrCat(ClosingLead(), ToWant(),
                         Any({"pay", "(?:give me |have |get |bring me )?the bill",
                              "take my (?:money|card|payment)", "settle (?:up|the bill)",
                              "make (?:the|a) payment", "tap my card",
                              "try (?:the payment|my card|to pay|paying) again", "pay again",
                              "(?:use|try|with|have) (?:another|a different|my other|the other) card"}),
                         Tail({"now", "then", "by card", "with card", "with (?:my|a) card", "card", "in cash",
                               "here", "contactless", "for (?:it|this|that|everything|my order|all)",
                               "with (?:my )?(?:phone|visa|mastercard)", "up", "thanks", "thank you"}),
                         "$"))

ARC_PATTERN(QuestionStart, absl::StrCat("^",
                                        Lead({"and", "so", "ok", "okay", "but", "well", "excuse me", "sorry",
                                              "also", "just wondering"}),
                                        Any({"is",
                                             "are",
                                             "does",
                                             "do",
                                             "did",
                                             "has",
                                             "was",
                                             "were",
                                             "what",
                                             "which",
                                             "how",
                                             "why",
                                             "any",
                                             "can you tell",
                                             "could you tell",
                                             "tell me",
                                             "got any",
                                             "got anything",
                                             "have you",
                                             "anything",
                                             "show me",
                                             "let me see",
                                             "can i see",
                                             "may i see",
                                             "where",
                                             "who",
                                             "when",
                                             "i wonder",
                                             "describe",
                                             "explain",
                                             "will",
                                             "you got",
                                             "you have",
                                             "what kinds?",
                                             "are there",
                                             "is there",
                                             "i would like to (?:see|know)",
                                             "i want to (?:see|know)",
                                             "list",
                                             "more about",
                                             "can (?:vegans|vegetarians|celiacs|kids|i eat)"}),
                                        "\\b"))
ARC_PATTERN(
    OrderQuestion,
    absl::StrCat(
        "^", Lead({"and", "so", "ok", "okay", "well", "yes", "no", "also"}),
        Any({"(?:how|what) about (?:a|an|some|one|two|three|four|five|six|another)\\b",
             R"((?:is|would) it (?:be )?(?:possible|ok|okay|alright) (?:to|if i) (?:get|have|order|add|got|had)\b)",
             "do (?:me|us)\\b", "do (?:a|an|one|two|three)\\b", "any chance (?:of|i could (?:get|have))\\b",
             "is there any chance (?:of|i could)\\b", "would you (?:get|give|make|bring) (?:me|us)\\b"})))

ARC_PATTERN(AsksPrice, "\\b(?:how (?:much|expensive|pricey)|price[sd]?|costs?|charge)\\b")
ARC_PATTERN(AsksCalories, "\\b(?:calories|calorie|kcal|calorific|fattening|energy)\\b")
ARC_PATTERN(
    AsksIngredients,
    Any({"\\bwhat (?:is|comes|are|goes|do you get|all is|else is) (?:all )?(?:in|with|on|inside|into)\\b",
         "\\bingredients?\\b", "\\bmade (?:of|from|with|out of)\\b",
         "\\bwhat does .*\\b(?:come with|have in|contain|include)\\b",
         "\\bwhat (?:all )?(?:comes|is included)\\b", "\\bwhat kind of .*\\b(?:in|on) (?:it|the|that)\\b",
         "\\bcomes? with\\b"}))
ARC_PATTERN(AsksGeneral,
            absl::StrCat("^", Lead({"and", "so", "ok", "okay", "can you", "could you"}),
                         Any({"tell me (?:more )?about", "what can you tell me about", "describe", "explain",
                              "what (?:is|are) (?:the|a|an|that|your)\\b", "(?:what|how) about", "more about",
                              "info(?:rmation)? (?:on|about)", "details (?:on|of|about)",
                              "what is (?:it|that)", "how (?:big|large|small|is|are|does)",
                              "what (?:size|sizes)", "(?:i )?want to know about", "show me (?:the|a|that) ",
                              "is (?:the|it|that) ", "are the "})))
ARC_PATTERN(AsksAllergens, "\\b(?:allergens?|allergies|allergic)\\b")
ARC_PATTERN(
    AsksContains,
    R"(\b(?:do|does|is|are|has|have|any|is there|are there|did)\b.*\b(?:contain|contains|have|has|with|in|any|free)\b)")
ARC_PATTERN(AsksSpicy, "\\b(?:is|are|how|too|very|really)\\b.*\\b(?:spicy|hot|fiery)\\b|\\bspicy\\b")
ARC_PATTERN(Compares, "\\b(?:difference between|compare|better than|or is)\\b")
ARC_PATTERN(AsksOptions,
            absl::StrCat(
                "\\b",
                Any({"do you (?:have|do|sell|serve|offer|got|make|carry)",
                     "have you (?:got|any)",
                     "you (?:got|have) any",
                     "got any(?:thing)?",
                     "any(?:thing)?\\b",
                     "what .*(?:do|can|have) (?:you|i|we)",
                     "which .*(?:do|can|have|are)",
                     "what (?:other |else )?(?:kinds?|sorts?|types?)",
                     "what is (?:on|available)",
                     "menu",
                     "options?",
                     "choices",
                     "selection",
                     "show me",
                     "let me see",
                     "can i see",
                     "i would like to see",
                     "i want to see",
                     "list",
                     "is there",
                     "are there",
                     "what (?:can|may) (?:i|we)",
                     "what .* (?:is|are) (?:there|safe|suitable|ok|okay|fine)",
                     "what is (?:safe|suitable)",
                     "which",
                     "what is .*\\b(?:vegan|vegetarian|halal|free|cheap|cheapest|new|light|healthy|spicy)"})))
ARC_PATTERN(
    OffTopic,
    R"(\b(?:weather|time is it|(?:time|when) (?:do|are) you (?:open|close|closing|opening|shut)|toilets?|bathroom|restrooms?|wifi|password|who won|your name|joke|how old|opening hours|parking|are you (?:a|an|human|real))\b)")

#undef ARC_PATTERN

}  // namespace arc::brain::patterns
