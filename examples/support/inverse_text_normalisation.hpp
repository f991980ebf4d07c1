#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/text/memory_lines.hpp>

#include "digit_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

/// Inverse text normalisation: what a speech recogniser hears, written the way one writes it.
///
///     the meeting is on the third of march twenty twenty six at half past five
///     the meeting is on 2026-03-03 at 17:30
///
/// A seeded grammar makes such pairs without end: dates, times of day, money, quantities, telephone numbers and
/// ordinals in carrier sentences. The written form is a function of the spoken one. Times of day: 'in the morning' and
/// 'in the evening' decide; where neither is said, an hour named one to seven is after noon, eight to twelve before it
/// or at it.
namespace inverse_text_normalisation {

/// The two forms of one text.
struct Pair {
    std::string spoken;
    std::string written;

    friend bool operator==(Pair const&, Pair const&) = default;
};

/// No sentence made here is longer, in tokens of DigitTokenizer, on either side.
inline constexpr std::size_t longest_sentence = 24;

// ---- numbers in words ----

/// `number` in words: 305 is 'three hundred and five'. @param number  in [0, 999]
[[nodiscard]] inline std::string cardinal(int number) {
    static constexpr std::array<char const*, 20> small{
        "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
        "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    static constexpr std::array<char const*, 10> tens{"",      "",      "twenty",  "thirty", "forty",
                                                      "fifty", "sixty", "seventy", "eighty", "ninety"};
    if (number >= 100)
        return cardinal(number / 100) + " hundred" + (number % 100 == 0 ? "" : " and " + cardinal(number % 100));
    if (number < 20) return small[static_cast<std::size_t>(number)];
    return tens[static_cast<std::size_t>(number / 10)] + (number % 10 == 0 ? "" : " " + cardinal(number % 10));
}

/// `number` as a rank in words: 21 is 'twenty first'. @param number  in [1, 99]
[[nodiscard]] inline std::string ordinal_words(int number) {
    static constexpr std::array<char const*, 13> small{"",      "first",    "second",  "third",  "fourth",
                                                       "fifth", "sixth",    "seventh", "eighth", "ninth",
                                                       "tenth", "eleventh", "twelfth"};
    if (number < 13) return small[static_cast<std::size_t>(number)];
    if (number < 20) return cardinal(number) + "th";
    if (number % 10 != 0) return cardinal(number - number % 10) + " " + ordinal_words(number % 10);
    std::string tens = cardinal(number);
    tens.pop_back();  // the y of twenty
    return tens + "ieth";
}

/// `number` with two digits: 3 is '03'. @param number  in [0, 99]
[[nodiscard]] inline std::string two_digits(int number) {
    return {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
}

// ---- things that are written unlike they are said ----

/// How a date is said, the year behind it.
enum class DateStyle { the_third_of_march, march_third, march_the_third };

/// A date, written as year-month-day. @param year  in [1911, 1999], [2001, 2009] or [2010, 2099]
[[nodiscard]] inline Pair date(int year, int month, int day, DateStyle style) {
    static constexpr std::array<char const*, 12> months{"january",   "february", "march",    "april",
                                                        "may",       "june",     "july",     "august",
                                                        "september", "october",  "november", "december"};
    std::string const name = months[static_cast<std::size_t>(month - 1)];
    std::string const rank = ordinal_words(day);
    std::string const day_and_month = style == DateStyle::the_third_of_march ? "the " + rank + " of " + name
        : style == DateStyle::march_third                                    ? name + " " + rank
                                                                             : name + " the " + rank;
    std::string const spoken_year = year / 10 == 200 ? "two thousand and " + cardinal(year % 100)
                                                     : cardinal(year / 100) + " " + cardinal(year % 100);
    return {day_and_month + " " + spoken_year, std::to_string(year) + "-" + two_digits(month) + "-" + two_digits(day)};
}

/// How a time of day is said: 'five forty', 'twenty past five' or 'twenty to six'.
enum class TimeStyle { plain, past, to };

/// What is said of the half of the day.
enum class DayPart { unsaid, morning, evening };

/// A time of day, written with 24 hours.
/// @param hour    the hour named, in [1, 12]; in the morning at most 11, in the evening 5 to 11
/// @param minute  in [0, 59]; counts down to the hour where style is `to`, and up from it otherwise
[[nodiscard]] inline Pair time_of_day(int hour, int minute, TimeStyle style, DayPart part) {
    std::string const minutes = minute == 30 ? "half" : minute == 15 ? "quarter" : cardinal(minute);
    std::string spoken = minute == 0 ? cardinal(hour) + " o'clock"
        : style == TimeStyle::past   ? minutes + " past " + cardinal(hour)
        : style == TimeStyle::to     ? minutes + " to " + cardinal(hour)
                                     : cardinal(hour) + (minute < 10 ? " oh " : " ") + cardinal(minute);
    if (part == DayPart::morning) spoken += " in the morning";
    if (part == DayPart::evening) spoken += " in the evening";
    bool const after_noon = part == DayPart::evening || (part == DayPart::unsaid && hour < 8);
    int const since_midnight = (after_noon ? hour + 12 : hour) * 60 + (style == TimeStyle::to ? -minute : minute);
    return {spoken, two_digits(since_midnight / 60) + ":" + two_digits(since_midnight % 60)};
}

/// A sum of money. @param amount  in [1, 999]; @param cents  in [0, 99]; @param unit  'dollar' or 'euro'
[[nodiscard]] inline Pair money(int amount, int cents, std::string const& unit) {
    Pair sum{cardinal(amount) + " " + unit + (amount == 1 ? "" : "s"),
             (unit == "euro" ? "€" : "$") + std::to_string(amount)};
    if (cents != 0) {
        sum.spoken += " and " + cardinal(cents) + (cents == 1 ? " cent" : " cents");
        sum.written += "." + two_digits(cents);
    }
    return sum;
}

/// A number of something. @param tenths  in [0, 9], said as 'point five'; @param sign  is written behind the number
[[nodiscard]] inline Pair quantity(int number, int tenths, std::string const& unit, std::string const& sign) {
    bool const one = number == 1 && tenths == 0 && unit != "percent";
    std::string const spoken = one ? unit.substr(0, unit.size() - 1) : unit;
    if (tenths == 0) return {cardinal(number) + " " + spoken, std::to_string(number) + sign};
    return {cardinal(number) + " point " + cardinal(tenths) + " " + spoken,
            std::to_string(number) + "." + std::to_string(tenths) + sign};
}

/// A telephone number, digit by digit, written 555-0142. @param oh  how zero is said: 'oh' or 'zero'
[[nodiscard]] inline Pair telephone(std::array<int, 7> const& digits, std::string const& oh) {
    Pair number;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        number.spoken += (i == 0 ? "" : " ") + (digits[i] == 0 ? oh : cardinal(digits[i]));
        if (i == 3) number.written += '-';
        number.written += std::to_string(digits[i]);
    }
    return number;
}

/// A rank, written 21st. @param number  in [1, 99]
[[nodiscard]] inline Pair rank(int number) {
    bool const teen = number / 10 == 1;
    char const* const ending = teen ? "th"
        : number % 10 == 1          ? "st"
        : number % 10 == 2          ? "nd"
        : number % 10 == 3          ? "rd"
                                    : "th";
    return {ordinal_words(number), std::to_string(number) + ending};
}

// ---- the grammar ----

namespace detail {

/// Numbers of one sentence, drawn one after the other.
class Dice {
public:
    explicit Dice(inkling::RandomStream const& stream) : stream_(stream) {}

    /// In [0, bound).
    int below(int bound) { return static_cast<int>(stream_.below(static_cast<std::uint64_t>(bound), drawn_++)); }
    /// In [first, last].
    int between(int first, int last) { return first + below(last - first + 1); }
    /// True in `percent` of a hundred draws.
    bool chance(int percent) { return below(100) < percent; }
    /// One of `list`.
    template <class List>
    std::string pick(List const& list) {
        return std::string(list[static_cast<std::size_t>(below(static_cast<int>(list.size())))]);
    }

private:
    inkling::RandomStream stream_;
    std::uint32_t drawn_ = 0;
};

inline Pair draw_date(Dice& dice) {
    static constexpr std::array<int, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int const year = dice.chance(60) ? dice.between(2010, 2039)
        : dice.chance(50)            ? dice.between(2001, 2009)
                                     : dice.between(1980, 1999);
    int const month = dice.between(1, 12);
    int const day = dice.between(1, days[static_cast<std::size_t>(month - 1)]);
    return date(year, month, day, static_cast<DateStyle>(dice.below(3)));
}

inline Pair draw_time(Dice& dice) {
    auto const part = dice.chance(70) ? DayPart::unsaid : dice.chance(50) ? DayPart::morning : DayPart::evening;
    int const hour =
        part == DayPart::evening ? dice.between(5, 11) : dice.between(1, part == DayPart::morning ? 11 : 12);
    auto const style = static_cast<TimeStyle>(dice.below(3));
    int const minute = 5
        * (style == TimeStyle::plain      ? dice.below(12)
               : style == TimeStyle::past ? dice.between(1, 6)
                                          : dice.between(1, 5));
    return time_of_day(hour, minute, style, part);
}

inline Pair draw_money(Dice& dice) {
    static constexpr std::array<char const*, 2> units{"dollar", "euro"};
    int const amount = dice.chance(60) ? dice.between(1, 99) : dice.between(100, 999);
    return money(amount, dice.chance(40) ? dice.between(1, 99) : 0, dice.pick(units));
}

inline Pair draw_quantity(Dice& dice, std::string const& unit, std::string const& sign) {
    bool const small = dice.chance(70);
    return quantity(small ? dice.between(1, 99) : dice.between(100, 999),
                    small && dice.chance(40) ? dice.between(1, 9) : 0, unit, sign);
}

inline Pair draw_telephone(Dice& dice) {
    std::array<int, 7> digits;
    for (int& digit : digits) digit = dice.below(10);
    return telephone(digits, dice.chance(50) ? "oh" : "zero");
}

inline Pair same(std::string const& text) { return {text, text}; }

/// Both forms of what stands in braces in a carrier sentence.
inline Pair draw_slot(std::string_view slot, Dice& dice) {
    static constexpr std::array<char const*, 20> events{
        "meeting", "lecture", "concert",  "wedding", "interview", "rehearsal", "picnic", "workshop", "auction", "match",
        "parade",  "seminar", "festival", "reunion", "trial",     "ceremony",  "tour",   "premiere", "debate",  "exam"};
    static constexpr std::array<char const*, 20> people{"anna",  "boris", "clara", "david", "elena", "felix", "greta",
                                                        "hugo",  "irene", "jonas", "katya", "leon",  "marta", "nina",
                                                        "oscar", "paula", "rosa",  "simon", "tessa", "victor"};
    static constexpr std::array<char const*, 20> things{
        "bicycle", "lamp",   "ticket",  "carpet",  "camera", "guitar", "jacket", "table", "kettle", "mirror",
        "radio",   "ladder", "blanket", "printer", "piano",  "tent",   "sofa",   "clock", "violin", "desk"};
    static constexpr std::array<char const*, 16> places{"station", "library", "harbour", "museum", "bakery",  "castle",
                                                        "market",  "school",  "airport", "garden", "theatre", "pool",
                                                        "stadium", "clinic",  "bank",    "cafe"};
    static constexpr std::array<char const*, 10> goods{"flour", "sugar", "rice",   "butter", "honey",
                                                       "salt",  "sand",  "coffee", "cheese", "corn"};
    if (slot == "date") return draw_date(dice);
    if (slot == "time") return draw_time(dice);
    if (slot == "money") return draw_money(dice);
    if (slot == "telephone") return draw_telephone(dice);
    if (slot == "rank") return rank(dice.between(1, 99));
    if (slot == "weight")
        return dice.chance(50) ? draw_quantity(dice, "grams", " g") : draw_quantity(dice, "kilograms", " kg");
    if (slot == "distance")
        return dice.chance(50) ? draw_quantity(dice, "metres", " m") : draw_quantity(dice, "kilometres", " km");
    if (slot == "duration")
        return dice.chance(50) ? quantity(dice.between(1, 99), 0, "minutes", " min")
                               : quantity(dice.between(1, 48), 0, "hours", " h");
    if (slot == "percent")
        return quantity(dice.between(1, 99), dice.chance(40) ? dice.between(1, 9) : 0, "percent", "%");
    if (slot == "event") return same("the " + dice.pick(events));
    if (slot == "person") return same(dice.pick(people));
    if (slot == "thing") return same("the " + dice.pick(things));
    if (slot == "place") return same("the " + dice.pick(places));
    if (slot == "goods") return same(dice.pick(goods));
    inkling::fail("inverse_text_normalisation: no slot is called '", slot, "'");
}

/// Fills a carrier sentence: '{event} starts at {time}'.
inline Pair fill(std::string_view carrier, Dice& dice) {
    Pair pair;
    while (!carrier.empty()) {
        std::size_t const open = std::min(carrier.find('{'), carrier.size());
        pair.spoken.append(carrier.substr(0, open));
        pair.written.append(carrier.substr(0, open));
        carrier.remove_prefix(open);
        if (carrier.empty()) break;
        std::size_t const close = carrier.find('}');
        Pair const slot = draw_slot(carrier.substr(1, close - 1), dice);
        pair.spoken += slot.spoken;
        pair.written += slot.written;
        carrier.remove_prefix(close + 1);
    }
    return pair;
}

/// The sentence that a stream of random numbers stands for, no longer than longest_sentence on either side.
inline Pair sentence(inkling::RandomStream const& stream) {
    static constexpr std::array<char const*, 24> one_slot{"{event} is on {date}",
                                                          "{event} was moved to {date}",
                                                          "{event} starts at {time}",
                                                          "{event} ends at {time}",
                                                          "{person} was born on {date}",
                                                          "{person} leaves on {date}",
                                                          "{person} arrives at {time}",
                                                          "wake {person} at {time}",
                                                          "{place} opens at {time}",
                                                          "{place} closes at {time}",
                                                          "{thing} costs {money}",
                                                          "{person} owes us {money}",
                                                          "{person} paid {money} for {thing}",
                                                          "{person} sold {thing} for {money}",
                                                          "add {weight} of {goods}",
                                                          "{thing} weighs {weight}",
                                                          "{place} is {distance} away",
                                                          "{person} ran {distance}",
                                                          "prices rose by {percent}",
                                                          "{thing} is {percent} cheaper",
                                                          "call {person} on {telephone}",
                                                          "the number of {place} is {telephone}",
                                                          "{person} came {rank} in the race",
                                                          "turn left at the {rank} corner"};
    static constexpr std::array<char const*, 18> two_slots{"{event} is on {date} at {time}",
                                                           "{event} runs from {time} to {time}",
                                                           "{place} is open from {time} to {time}",
                                                           "{person} arrives on {date} at {time}",
                                                           "{person} paid {money} on {date}",
                                                           "{person} bought {thing} for {money} on {date}",
                                                           "call {person} on {telephone} at {time}",
                                                           "call {place} on {telephone} before {time}",
                                                           "{person} ran {distance} and came {rank}",
                                                           "{person} ran {distance} in {duration}",
                                                           "mix {weight} of {goods} with {weight} of {goods}",
                                                           "bake {weight} of {goods} for {duration}",
                                                           "the {rank} game is on {date}",
                                                           "the {rank} game starts at {time}",
                                                           "the rent rises by {percent} to {money}",
                                                           "{person} drove {distance} on {date}",
                                                           "{event} starts at {time} and costs {money}",
                                                           "{thing} costs {money} after the {rank} of may"};
    static constexpr std::array<char const*, 8> three_slots{
        "{event} on {date} runs from {time} to {time}",
        "{person} ran {distance} in {duration} and came {rank}",
        "mix {weight} of {goods} with {weight} of {goods} for {duration}",
        "{person} drove {distance} from {time} to {time}",
        "{person} sold {weight} of {goods} for {money} at {time}",
        "the {rank} game on {date} starts at {time}",
        "{person} lost {money} or {percent} on {date}",
        "call {telephone} at {time} and pay {money}"};
    Dice dice(stream);
    for (;;) {
        int const slots = dice.below(100);
        std::string const carrier = slots < 45 ? dice.pick(one_slot)
            : slots < 85                       ? dice.pick(two_slots)
                                               : dice.pick(three_slots);
        Pair pair = fill(carrier, dice);
        if (DigitTokenizer::pieces(pair.spoken).size() <= longest_sentence
            && DigitTokenizer::pieces(pair.written).size() <= longest_sentence)
            return pair;
    }
}

}  // namespace detail

/// Makes `count` sentences, the same ones for the same seed everywhere. Short ones may occur twice.
[[nodiscard]] inline std::vector<Pair> generate(std::size_t count, std::uint64_t seed) {
    std::vector<Pair> pairs;
    pairs.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        pairs.push_back(detail::sentence(
            {.seed = seed, .purpose = inkling::Purpose::user, .sequence = static_cast<std::uint32_t>(i), .step = 0}));
    return pairs;
}

/// Makes `count` different sentences that are not among `training`, of the same grammar.
[[nodiscard]] inline std::vector<Pair> generate_unseen(std::size_t count, std::uint64_t seed,
                                                       std::span<Pair const> training) {
    std::unordered_set<std::string> seen;
    for (Pair const& pair : training) seen.insert(pair.spoken);
    std::vector<Pair> pairs;
    pairs.reserve(count);
    for (std::uint32_t i = 0; pairs.size() < count; ++i) {
        Pair pair = detail::sentence({.seed = seed, .purpose = inkling::Purpose::user, .sequence = i, .step = 1});
        if (seen.insert(pair.spoken).second) pairs.push_back(std::move(pair));
    }
    return pairs;
}

/// The spoken sides, in order.
[[nodiscard]] inline std::vector<std::string> spoken(std::span<Pair const> pairs) {
    std::vector<std::string> lines;
    for (Pair const& pair : pairs) lines.push_back(pair.spoken);
    return lines;
}

/// The written sides, in order.
[[nodiscard]] inline std::vector<std::string> written(std::span<Pair const> pairs) {
    std::vector<std::string> lines;
    for (Pair const& pair : pairs) lines.push_back(pair.written);
    return lines;
}

/// A tokenizer with a token for every piece of both sides, which share them.
[[nodiscard]] inline DigitTokenizer make_tokenizer(std::span<Pair const> pairs) {
    std::vector<std::string> lines = spoken(pairs);
    for (Pair const& pair : pairs) lines.push_back(pair.written);
    inkling::text::MemoryLines source{lines};
    return DigitTokenizer::train(source);
}

}  // namespace inverse_text_normalisation
