#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace inkling::pipeline {

namespace detail {

/// What `describe` may be given: takes names, values, and the spellings of an enumeration.
struct AnyVisitor {
    template <class Value>
    void operator()(std::string_view, Value const&, std::initializer_list<char const*> = {}) const {}
};

}  // namespace detail

/// An option struct that names its fields: `describe(options, visit)` is found beside it.
template <class Options>
concept Described = requires(Options const& options) { describe(options, detail::AnyVisitor{}); };

/// The settings as JSON, enumerations by their spelling.
template <Described Options>
[[nodiscard]] nlohmann::json to_json(Options const& options) {
    nlohmann::json result = nlohmann::json::object();
    describe(options, [&](std::string_view name, auto const& value, std::initializer_list<char const*> spellings = {}) {
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_enum_v<Value>)
            result[std::string(name)] = spellings.begin()[static_cast<std::size_t>(value)];
        else if constexpr (Described<Value>)
            result[std::string(name)] = to_json(value);
        else
            result[std::string(name)] = value;
    });
    return result;
}

/// Settings from JSON. @throws Error that names the setting when it is missing or of another kind than expected
template <Described Options>
void from_json(nlohmann::json const& json, Options& options, std::string_view where) {
    describe(options, [&](std::string_view name, auto& value, std::initializer_list<char const*> spellings = {}) {
        using Value = std::remove_cvref_t<decltype(value)>;
        auto const found = json.find(std::string(name));
        require(json.is_object() && found != json.end(), where, ": the configuration lacks '", name,
                "' (is it a model of other policies?)");
        auto const wrong = [&](std::string_view expected) {
            fail(where, ": the configuration's '", name, "' is ", found->dump(), ", expected ", expected);
        };
        if constexpr (Described<Value>) {
            from_json(*found, value, std::string(where) + ", '" + std::string(name) + "'");
        } else if constexpr (std::is_enum_v<Value>) {
            std::string known;
            for (char const* const spelling : spellings)
                known += (known.empty() ? "'" : ", '") + std::string(spelling) + "'";
            auto const same = std::find_if(spellings.begin(), spellings.end(),
                                           [&](char const* spelling) { return *found == spelling; });
            if (same == spellings.end()) wrong("one of " + known);
            value = static_cast<Value>(same - spellings.begin());
        } else if constexpr (std::same_as<Value, bool>) {
            if (!found->is_boolean()) wrong("true or false");
            value = found->template get<bool>();
        } else if constexpr (std::floating_point<Value>) {
            if (!found->is_number()) wrong("a number");
            value = found->template get<Value>();
        } else if constexpr (std::integral<Value>) {
            if (!found->is_number_integer()) wrong("a whole number");
            double const number = found->template get<double>();  // before it is cut to fewer bits
            if (number < 0.0 || number > 0x1p20) wrong("a whole number from 0 to 2^20");
            value = found->template get<Value>();
        } else {
            try {
                value = found->template get<Value>();
            } catch (nlohmann::json::exception const&) { wrong("a list"); }
        }
    });
}

/// Whether two objects have the same names in them, at every depth.
[[nodiscard]] inline bool same_names(nlohmann::json const& a, nlohmann::json const& b) {
    if (a.is_object() != b.is_object()) return false;
    if (!a.is_object()) return true;
    if (a.size() != b.size()) return false;
    for (auto const& [name, value] : a.items())
        if (!b.contains(name) || !same_names(value, b.at(name))) return false;
    return true;
}

}  // namespace inkling::pipeline
