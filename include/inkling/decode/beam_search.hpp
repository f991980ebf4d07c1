#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace inkling::decode {

/// How the text of a model that writes token after token is searched for: the `width` likeliest beginnings are
/// continued side by side.
///
/// A text is scored by log p / tokens^length_penalty, its eos counted, as in fairseq; width 1 is greedy.
struct BeamSearch {
    static constexpr Index widest = Index{1} << 16;

    Index width = 5;              ///< beginnings of one source, 1 to 2^16
    double length_penalty = 1.0;  ///< finite; above 1 favours longer texts
    Index shortest = 1;           ///< tokens in front of eos, at least; 0 or more
    double longest_share = 2.0;   ///< no text has more than longest_share * source + longest_beyond tokens
    Index longest_beyond = 10;    ///< ... in front of eos; both 0 or more

    /// Most tokens in front of eos to a source of `source` tokens, and at most `places`.
    [[nodiscard]] Index longest(Index source, Index places) const {
        double const most = longest_share * static_cast<double>(source) + static_cast<double>(longest_beyond);
        return most < static_cast<double>(places) ? static_cast<Index>(most) : places;
    }

    /// @throws Error when a setting is out of its range
    void check() const {
        require(width >= 1 && width <= widest, "inkling::decode::BeamSearch: width is ", width, ", expected 1 to ",
                widest);
        require(std::isfinite(length_penalty), "inkling::decode::BeamSearch: length_penalty is ", length_penalty,
                ", expected a finite number");
        require(shortest >= 0, "inkling::decode::BeamSearch: shortest is ", shortest, ", expected 0 or more");
        require(longest_share >= 0.0 && std::isfinite(longest_share), "inkling::decode::BeamSearch: longest_share is ",
                longest_share, ", expected a finite number of 0 or more");
        require(longest_beyond >= 0, "inkling::decode::BeamSearch: longest_beyond is ", longest_beyond,
                ", expected 0 or more");
    }
};

/// The texts of one batch of sources while they are searched for: what is written so far, and what is finished. It
/// knows no model: it is told the likeliest next tokens of each beginning, and says which beginnings go on.
///
/// Beginning j of the s-th source that is still searched has slot s * width + j, of which the caller keeps what its
/// model needs (Move). In the first step each source has one beginning, in slot s * width; then `width`. A source is
/// done as in fairseq, when `width` texts of it are finished, or already when none that goes on can become better than
/// the best of these. Nothing is allocated after the constructor.
class BeamTexts {
public:
    /// What a slot holds is to be copied to another.
    struct Move {
        Index from = 0;
        Index to = 0;
    };
    /// The best text of a source.
    struct Best {
        std::vector<Token> tokens;     ///< without bos, with eos
        double log_probability = 0.0;  ///< of all tokens together
        double score = -std::numeric_limits<double>::infinity();
    };

    /// @param vocabulary  tokens there are
    /// @param longest     [S], tokens in front of eos at most, each at least 0
    BeamTexts(BeamSearch const& options, text::SpecialTokens const& specials, Index vocabulary,
              std::span<Index const> longest)
        : options_(options),
          specials_(specials),
          choices_(std::min(vocabulary, options.width + 3)),
          longest_(longest.begin(), longest.end()),
          numbers_(longest.size()),
          finished_(longest.size(), 0),
          best_(longest.size()) {
        options_.check();
        capacity_ = longest.empty() ? 0 : *std::max_element(longest.begin(), longest.end());
        std::iota(numbers_.begin(), numbers_.end(), Index{0});
        auto const slots = longest.size() * static_cast<std::size_t>(options_.width);
        tokens_.resize(slots * static_cast<std::size_t>(capacity_));
        log_probabilities_.assign(slots, 0.0);
        last_.assign(slots, specials_.bos);
        candidates_.reserve(static_cast<std::size_t>(options_.width * choices_));
        children_.reserve(static_cast<std::size_t>(options_.width));
        taken_.resize(static_cast<std::size_t>(options_.width));
        moves_.reserve(2 * slots);
        for (std::size_t i = 0; i < best_.size(); ++i)
            best_[i].tokens.reserve(static_cast<std::size_t>(longest_[i]) + 1);
    }

    /// Sources that are still searched.
    [[nodiscard]] Index sources() const { return static_cast<Index>(numbers_.size()); }
    /// [sources()], the number of each from the start.
    [[nodiscard]] std::span<Index const> numbers() const { return numbers_; }
    /// Beginnings of each source.
    [[nodiscard]] Index each() const { return length_ == 0 ? 1 : options_.width; }
    /// Tokens written so far, bos not counted: the place of the row that is read next.
    [[nodiscard]] Index length() const { return length_; }
    /// [sources() * each()], the last token of each beginning; bos at first.
    [[nodiscard]] std::span<Token const> last() const {
        return std::span(last_).first(static_cast<std::size_t>(sources() * each()));
    }
    /// How many of the likeliest tokens of each beginning advance() wants to know: as many as may go on, and those that
    /// do not (eos, bos and pad).
    [[nodiscard]] Index choices() const { return choices_; }
    /// Whether a text is as long as it may be, so that advance() wants to know log p of eos of every beginning.
    [[nodiscard]] bool some_must_end() const {
        return std::any_of(numbers_.begin(), numbers_.end(), [&](Index number) { return must_end(number); });
    }
    /// After advance(): what slots are copied, one after the other.
    [[nodiscard]] std::span<Move const> moves() const { return moves_; }
    /// The best text found of a source, by its number from the start.
    [[nodiscard]] Best const& best(Index number) const { return best_[static_cast<std::size_t>(number)]; }

    /// Writes one token more.
    ///
    /// @param tokens             [sources() * each(), choices()], the likeliest of each beginning, best first
    /// @param log_probabilities  of them
    /// @param of_eos             [sources() * each()], log p of eos; not read unless some_must_end()
    template <class Scalar>
    void advance(std::span<Token const> tokens, std::span<Scalar const> log_probabilities,
                 std::span<Scalar const> of_eos) {
        moves_.clear();
        Index const before = each();
        for (Index s = 0; s < sources(); ++s) {
            Index const number = numbers_[static_cast<std::size_t>(s)];
            children_.clear();
            if (must_end(number)) {
                for (Index j = 0; j < before; ++j) {
                    auto const row = static_cast<std::size_t>(s * before + j);
                    finish(number, s, j, log_probability(s, j) + static_cast<double>(of_eos[row]));
                }
                finished_[static_cast<std::size_t>(number)] = done;
            } else {
                gather(s, before, tokens, log_probabilities);
                choose(number, s);
            }
            if (is_done(number)) children_.clear();
            if (!children_.empty()) go_on(s);
        }
        ++length_;
        // Sources that are done give their slots to the last ones.
        for (Index s = 0; s < sources();) {
            if (!is_done(numbers_[static_cast<std::size_t>(s)])) {
                ++s;
                continue;
            }
            Index const last = sources() - 1;
            if (s != last) {
                for (Index j = 0; j < options_.width; ++j) move(last * options_.width + j, s * options_.width + j);
                numbers_[static_cast<std::size_t>(s)] = numbers_.back();
            }
            numbers_.pop_back();
        }
    }

private:
    static constexpr double never = -std::numeric_limits<double>::infinity();
    static constexpr Index done = std::numeric_limits<Index>::max();

    /// A beginning and one token more.
    struct Candidate {
        double log_probability = never;
        Index parent = 0;
        Token token = 0;
    };

    [[nodiscard]] bool must_end(Index number) const { return length_ >= longest_[static_cast<std::size_t>(number)]; }
    [[nodiscard]] bool is_done(Index number) const { return finished_[static_cast<std::size_t>(number)] == done; }
    [[nodiscard]] double& log_probability(Index s, Index j) {
        return log_probabilities_[static_cast<std::size_t>(s * options_.width + j)];
    }
    [[nodiscard]] Token* text(Index slot) { return tokens_.data() + slot * capacity_; }
    [[nodiscard]] double score(double log_probability, Index tokens) const {
        return log_probability / std::pow(static_cast<double>(tokens), options_.length_penalty);
    }

    /// All continuations of a source's beginnings, best first; of equal ones that of the first beginning and the lower
    /// token.
    template <class Scalar>
    void gather(Index s, Index each, std::span<Token const> tokens, std::span<Scalar const> log_probabilities) {
        candidates_.clear();
        for (Index j = 0; j < each; ++j) {
            double const so_far = log_probability(s, j);
            if (so_far == never) continue;
            for (Index k = 0; k < choices_; ++k) {
                auto const at = static_cast<std::size_t>((s * each + j) * choices_ + k);
                Token const token = tokens[at];
                bool const refused = token == specials_.bos || token == specials_.pad
                    || (token == specials_.eos && length_ < options_.shortest);
                double const sum = so_far + static_cast<double>(log_probabilities[at]);
                if (!refused && sum > never) candidates_.push_back({sum, j, token});
            }
        }
        std::sort(candidates_.begin(), candidates_.end(), [](Candidate const& a, Candidate const& b) {
            if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
            return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
        });
    }

    /// Finishes what ends among the `width` best, and lets the `width` best of the others go on.
    void choose(Index number, Index s) {
        for (Index rank = 0; rank < static_cast<Index>(candidates_.size()); ++rank) {
            Candidate const& candidate = candidates_[static_cast<std::size_t>(rank)];
            if (candidate.token != specials_.eos) {
                children_.push_back(candidate);
                if (static_cast<Index>(children_.size()) == options_.width) break;
            } else if (rank < options_.width) {
                finish(number, s, candidate.parent, candidate.log_probability);
            }
        }
        auto& count = finished_[static_cast<std::size_t>(number)];
        Index const longest = longest_[static_cast<std::size_t>(number)];
        bool const hopeless = [&] {  // whatever is added, log p only falls
            if (children_.empty()) return true;
            double const top = children_.front().log_probability;
            return std::max(score(top, length_ + 2), score(top, longest + 1)) <= best(number).score;
        }();
        if (count >= options_.width || hopeless) count = done;
    }

    void finish(Index number, Index s, Index j, double log_probability) {
        if (log_probability == never) return;
        auto& count = finished_[static_cast<std::size_t>(number)];
        Best& best = best_[static_cast<std::size_t>(number)];
        double const own = score(log_probability, length_ + 1);
        if (own > best.score) {
            Token const* const begin = text(s * options_.width + j);
            best.tokens.assign(begin, begin + length_);
            best.tokens.push_back(specials_.eos);
            best.log_probability = log_probability;
            best.score = own;
        }
        ++count;
    }

    /// Puts the children into the slots of their source: the first of each parent stays where that is.
    void go_on(Index s) {
        while (static_cast<Index>(children_.size()) < options_.width)  // fewer than slots: the others wait for ever
            children_.push_back({never, children_.front().parent, children_.front().token});
        Index const first = s * options_.width;
        std::fill(taken_.begin(), taken_.end(), nobody);
        auto const take = [&](Index slot, std::size_t child) { taken_[static_cast<std::size_t>(slot)] = child; };
        auto const free = [&](Index slot) { return taken_[static_cast<std::size_t>(slot)] == nobody; };
        for (std::size_t c = 0; c < children_.size(); ++c)
            if (free(children_[c].parent)) take(children_[c].parent, c);
        Index slot = 0;
        for (std::size_t c = 0; c < children_.size(); ++c) {
            Index const parent = children_[c].parent;
            if (taken_[static_cast<std::size_t>(parent)] == c) continue;
            while (!free(slot)) ++slot;
            take(slot, c);
            move(first + parent, first + slot);
        }
        for (Index j = 0; j < options_.width; ++j) {
            Candidate const& child = children_[taken_[static_cast<std::size_t>(j)]];
            log_probability(s, j) = child.log_probability;
            last_[static_cast<std::size_t>(first + j)] = child.token;
            text(first + j)[length_] = child.token;
        }
    }

    void move(Index from, Index to) {
        moves_.push_back({from, to});
        std::copy_n(text(from), capacity_, text(to));
        log_probabilities_[static_cast<std::size_t>(to)] = log_probabilities_[static_cast<std::size_t>(from)];
        last_[static_cast<std::size_t>(to)] = last_[static_cast<std::size_t>(from)];
    }

    static constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();

    BeamSearch options_;
    text::SpecialTokens specials_;
    Index choices_ = 0;
    Index capacity_ = 0;
    Index length_ = 0;
    std::vector<Index> longest_;   // [S]
    std::vector<Index> numbers_;   // of the sources that are still searched
    std::vector<Index> finished_;  // [S], texts finished of each source, or `done`
    std::vector<Best> best_;       // [S]
    std::vector<Token> tokens_;    // [slots * capacity]
    std::vector<double> log_probabilities_;
    std::vector<Token> last_;
    std::vector<Candidate> candidates_, children_;
    std::vector<std::size_t> taken_;  // [width], which child has each slot
    std::vector<Move> moves_;
};

}  // namespace inkling::decode
