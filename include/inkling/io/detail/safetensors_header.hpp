#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/io/element_type.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::io::detail {

/// One array as the header of a safetensors file describes it; `begin` and `end` count bytes from the end of the
/// header.
struct TensorRecord {
    std::string name;
    ElementType type = ElementType::F32;
    std::vector<Index> shape;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// Takes the header of a safetensors file apart while it is parsed: what is not exactly of the expected form stops it
/// at once, and the parser keeps no value, so that a hostile header costs no more than what is kept here.
///
/// The form: {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [n, ...], "data_offsets": [n, n]}, ...}
class SafetensorsHeader {
public:
    std::map<std::string, std::string> metadata;
    std::vector<TensorRecord> tensors;  ///< in the order of the header

    /// @param text  without a zero byte, which the parser would take for the end
    /// @throws Error, saying nothing but what is wrong with it
    explicit SafetensorsHeader(std::string_view text) {
        using Event = nlohmann::json::parse_event_t;
        try {
            [[maybe_unused]] auto const nothing =
                nlohmann::json::parse(text, [this](int, Event event, nlohmann::json& value) {
                    switch (event) {
                        case Event::object_start: start_object_(); return true;  // else no more of it would be told
                        case Event::key:
                            key_is_(value.get_ref<std::string const&>());
                            return place_ != Place::metadata_value;  // or each of them would have a node
                        case Event::object_end: end_object_(); return false;
                        case Event::array_start: start_array_(); return true;
                        case Event::array_end: place_ = Place::field; return false;
                        case Event::value: take_(value); return false;
                    }
                    return false;
                });
        } catch (nlohmann::json::parse_error const& error) {
            fail("it is no valid JSON at byte ", error.byte);
        } catch (nlohmann::json::out_of_range const&) { refuse_("a number too large for anything"); }
    }

private:
    enum class Place {
        start,
        name,
        metadata,
        metadata_key,
        metadata_value,
        tensor,
        field,
        dtype,
        before_shape,
        shape,
        before_offsets,
        offsets,
        end
    };

    static constexpr std::size_t most_dimensions = 64;

    void take_(nlohmann::json const& value) {
        if (value.is_number_unsigned() && (place_ == Place::shape || place_ == Place::offsets))
            take_number_(value.get<std::uint64_t>());
        else if (value.is_string() && (place_ == Place::metadata_value || place_ == Place::dtype))
            take_text_(value.get_ref<std::string const&>());
        else if (value.is_string())
            refuse_("the text '" + value.get_ref<std::string const&>() + "'");
        else
            refuse_(value.is_number() ? "the number " + value.dump() : value.is_null() ? "null" : "a truth value");
    }

    void take_number_(std::uint64_t number) {
        if (place_ == Place::shape) {
            require(number <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()), "tensor '", record_.name,
                    "' has a size of ", number, ", which is too large");
            require(record_.shape.size() < most_dimensions, "tensor '", record_.name, "' has more than ",
                    most_dimensions, " dimensions");
            record_.shape.push_back(static_cast<Index>(number));
        } else {
            require(offsets_seen_ < 2, "tensor '", record_.name, "' has more than two data offsets");
            (offsets_seen_++ == 0 ? record_.begin : record_.end) = number;
        }
    }

    void take_text_(std::string const& text) {
        if (place_ == Place::metadata_value) {
            require(metadata.emplace(key_, text).second, "the metadata key '", key_, "' is there twice");
            place_ = Place::metadata_key;
        } else {
            auto const type = element_type_named(text);
            require(type.has_value(), "tensor '", record_.name, "' is of the unknown element type '", text, "'");
            record_.type = *type;
            place_ = Place::field;
        }
    }

    void start_object_() {
        switch (place_) {
            case Place::start: place_ = Place::name; break;
            case Place::metadata: place_ = Place::metadata_key; break;
            case Place::tensor: place_ = Place::field; break;
            default: refuse_("an object");
        }
    }

    void key_is_(std::string const& key) {
        key_ = key;
        switch (place_) {
            case Place::name:
                require(names_.insert(key).second, "the name '", key, "' is there twice");
                if (key == "__metadata__") {
                    place_ = Place::metadata;
                } else {
                    record_ = {};
                    record_.name = key;
                    has_dtype_ = has_shape_ = has_offsets_ = false;
                    offsets_seen_ = 0;
                    place_ = Place::tensor;
                }
                break;
            case Place::metadata_key: place_ = Place::metadata_value; break;
            case Place::field:
                if (key == "dtype")
                    enter_(has_dtype_, Place::dtype);
                else if (key == "shape")
                    enter_(has_shape_, Place::before_shape);
                else if (key == "data_offsets")
                    enter_(has_offsets_, Place::before_offsets);
                else
                    fail("tensor '", record_.name, "' has an unknown field '", key, "'");
                break;
            default: refuse_("the key '" + key + "'");
        }
    }

    void end_object_() {
        switch (place_) {
            case Place::name: place_ = Place::end; return;
            case Place::metadata_key: place_ = Place::name; return;
            default: break;  // Place::field: the parser sees to it that no other object is open
        }
        require(has_dtype_ && has_shape_ && has_offsets_, "tensor '", record_.name, "' lacks its field '",
                !has_dtype_       ? "dtype"
                    : !has_shape_ ? "shape"
                                  : "data_offsets",
                "'");
        require(offsets_seen_ == 2, "tensor '", record_.name, "' lacks a data offset");
        tensors.push_back(std::move(record_));
        place_ = Place::name;
    }

    void start_array_() {
        switch (place_) {
            case Place::before_shape: place_ = Place::shape; break;
            case Place::before_offsets: place_ = Place::offsets; break;
            default: refuse_("a list");
        }
    }

    void enter_(bool& seen, Place place) {
        require(!seen, "tensor '", record_.name, "' has its field '", key_, "' twice");
        seen = true;
        place_ = place;
    }

    [[noreturn]] void refuse_(std::string const& seen) const {
        char const* expected = "nothing more";
        switch (place_) {
            case Place::start: expected = "an object"; break;
            case Place::name: expected = "a name"; break;
            case Place::metadata: expected = "the metadata as an object"; break;
            case Place::metadata_key: expected = "a key"; break;
            case Place::metadata_value: expected = "metadata as text"; break;
            case Place::tensor: expected = "a tensor as an object"; break;
            case Place::field: expected = "a field"; break;
            case Place::dtype: expected = "the name of an element type"; break;
            case Place::before_shape: expected = "a list of sizes"; break;
            case Place::shape: expected = "a size of 0 or more"; break;
            case Place::before_offsets: expected = "a list of two offsets"; break;
            case Place::offsets: expected = "an offset of 0 or more"; break;
            case Place::end: break;
        }
        fail(seen, " stands at '", key_, "' where ", expected, " is expected");
    }

    Place place_ = Place::start;
    std::string key_;
    TensorRecord record_;
    bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
    int offsets_seen_ = 0;
    std::set<std::string> names_;
};

}  // namespace inkling::io::detail
