#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/safetensors.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/text/concept.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace inkling::recipe {

namespace detail {

/// A list of complaints of one kind, the first few of them in words.
class Complaints {
public:
    explicit Complaints(std::string_view heading) : heading_(heading) {}

    void add(std::string text) {
        if (count_++ < shown) texts_ += (texts_.empty() ? "" : ", ") + text;
    }
    /// "; 7 missing: 'a', 'b', ..." or nothing
    [[nodiscard]] std::string text() const {
        if (count_ == 0) return {};
        return message("; ", count_, " ", heading_, ": ", texts_, count_ > shown ? ", ..." : "");
    }

private:
    static constexpr std::size_t shown = 5;
    std::string_view heading_;
    std::string texts_;
    std::size_t count_ = 0;
};

}  // namespace detail

/// Reads the weights of a PyTorch program's state_dict, saved as safetensors, by the names that the layout gives them.
///
/// Weights that a program holds under several names, and a layout as one entry with aliases, may be in the file under
/// any of them; where they are there more than once they must be equal. What files do not hold, fixed tables, is made.
/// @param ignored  ignored(name): whether a tensor of the file is to be passed over
/// @param where    begins the message
/// @return         [P], laid out as the layout says
/// @throws Error naming the tensors that are missing, of another shape, unequal though shared, or of no use here
template <std::floating_point Real, class Ignored>
[[nodiscard]] std::vector<Real> read_state_dict(io::Safetensors const& file, nn::ParameterLayout const& layout,
                                                Ignored const& ignored, std::string_view where) {
    std::vector<Real> weights(static_cast<std::size_t>(layout.size()));
    layout.template initialize<Real>(0, weights);
    detail::Complaints missing("missing"), mismatching("of another shape"), unequal("not shared as in this model"),
        unknown("without a place in this model");
    std::unordered_set<std::string_view> known;
    for (auto const& entry : layout.entries()) {
        if (!entry.stored) continue;
        auto const room = std::span(weights).subspan(static_cast<std::size_t>(entry.parameter.offset),
                                                     static_cast<std::size_t>(entry.parameter.size()));
        std::string_view first;
        auto const take = [&](std::string const& name) {
            known.insert(name);
            if (!file.contains(name)) return;
            io::TensorView const& tensor = file.at(name);
            if (tensor.shape() != entry.shape) {
                mismatching.add("'" + name + "' is " + shape_text(tensor.shape()) + ", expected "
                                + shape_text(entry.shape));
            } else if (first.empty()) {
                tensor.copy_to(room);
            } else {
                auto const again = tensor.template to<Real>();
                if (!std::equal(again.begin(), again.end(), room.begin()))
                    unequal.add("'" + name + "' differs from '" + std::string(first) + "'");
            }
            if (first.empty()) first = name;
        };
        take(entry.name);
        for (std::string const& alias : entry.aliases) take(alias);
        if (first.empty()) missing.add("'" + entry.name + "'");
    }
    for (io::TensorView const& tensor : file.tensors())
        if (!known.contains(tensor.name()) && !ignored(tensor.name())) unknown.add("'" + tensor.name() + "'");
    std::string const complaints = missing.text() + mismatching.text() + unequal.text() + unknown.text();
    require(complaints.empty(), where, ": file '", file.name(), "' does not fit: tensors",
            complaints.empty() ? "" : complaints.substr(1));
    return weights;
}

/// Holds a tokenizer against what a checkpoint says of its vocabulary.
///
/// @param vocabulary  V, 0 where it is not said
/// @param specials    -1 where one is not said
/// @param where       begins the message
/// @throws Error naming the first that differs
inline void require_tokenizer(Index vocabulary, text::SpecialTokens const& specials, Index tokenizer_vocabulary,
                              text::SpecialTokens const& tokenizer_specials, std::string_view where) {
    require(vocabulary == 0 || vocabulary == tokenizer_vocabulary, where, ": the tokenizer has ", tokenizer_vocabulary,
            " tokens, expected the model's ", vocabulary);
    auto const same = [&](char const* name, Token expected, Token seen) {
        require(expected == -1 || expected == seen, where, ": the tokenizer's ", name, " is token ", seen,
                ", expected the model's ", expected);
    };
    same("bos", specials.bos, tokenizer_specials.bos);
    same("pad", specials.pad, tokenizer_specials.pad);
    same("eos", specials.eos, tokenizer_specials.eos);
    same("unk", specials.unk, tokenizer_specials.unk);
}

}  // namespace inkling::recipe
