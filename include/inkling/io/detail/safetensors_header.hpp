#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/element_type.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
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
/// at once, so that a hostile header costs no more memory than its own size a few times over.
///
/// The form: {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [n, ...], "data_offsets": [n, n]}, ...}
class SafetensorsHeader : public nlohmann::json::json_sax_t {
public:
    std::map<std::string, std::string> metadata;
    std::vector<TensorRecord> tensors;  ///< in the order of the header
    std::string problem;                ///< why parsing stopped; empty when all is well

    bool null() override { return refuse_("null"); }
    bool boolean(bool) override { return refuse_("a truth value"); }
    bool number_integer(number_integer_t number) override { return refuse_("the number " + std::to_string(number)); }
    bool number_float(number_float_t, string_t const& text) override { return refuse_("the number " + text); }
    bool binary(binary_t&) override { return refuse_("binary data"); }

    bool number_unsigned(number_unsigned_t number) override {
        if (place_ == Place::shape) {
            if (number > static_cast<number_unsigned_t>(std::numeric_limits<Index>::max()))
                return stop_("tensor '" + record_.name + "' has a size of " + std::to_string(number)
                             + ", which is too large");
            if (record_.shape.size() == most_dimensions)
                return stop_("tensor '" + record_.name + "' has more than " + std::to_string(most_dimensions)
                             + " dimensions");
            record_.shape.push_back(static_cast<Index>(number));
            return true;
        }
        if (place_ == Place::offsets) {
            if (offsets_seen_ == 2) return stop_("tensor '" + record_.name + "' has more than two data offsets");
            (offsets_seen_++ == 0 ? record_.begin : record_.end) = number;
            return true;
        }
        return refuse_("the number " + std::to_string(number));
    }

    bool string(string_t& text) override {
        if (place_ == Place::metadata_value) {
            if (!metadata.emplace(key_, text).second) return stop_("the metadata key '" + key_ + "' is there twice");
            place_ = Place::metadata_key;
            return true;
        }
        if (place_ == Place::dtype) {
            auto const type = element_type_named(text);
            if (!type) return stop_("tensor '" + record_.name + "' is of the unknown element type '" + text + "'");
            record_.type = *type;
            place_ = Place::field;
            return true;
        }
        return refuse_("the text '" + text + "'");
    }

    bool start_object(std::size_t) override {
        switch (place_) {
            case Place::start: place_ = Place::name; return true;
            case Place::metadata: place_ = Place::metadata_key; return true;
            case Place::tensor: place_ = Place::field; return true;
            default: return refuse_("an object");
        }
    }

    bool key(string_t& text) override {
        key_ = text;
        switch (place_) {
            case Place::name:
                if (!names_.insert(text).second) return stop_("the name '" + text + "' is there twice");
                if (text == "__metadata__") {
                    place_ = Place::metadata;
                } else {
                    record_ = {};
                    record_.name = text;
                    has_dtype_ = has_shape_ = has_offsets_ = false;
                    offsets_seen_ = 0;
                    place_ = Place::tensor;
                }
                return true;
            case Place::metadata_key: place_ = Place::metadata_value; return true;
            case Place::field:
                if (text == "dtype") return enter_(has_dtype_, Place::dtype);
                if (text == "shape") return enter_(has_shape_, Place::before_shape);
                if (text == "data_offsets") return enter_(has_offsets_, Place::before_offsets);
                return stop_("tensor '" + record_.name + "' has an unknown field '" + text + "'");
            default: return refuse_("the key '" + text + "'");
        }
    }

    bool end_object() override {
        switch (place_) {
            case Place::name: place_ = Place::end; return true;
            case Place::metadata_key: place_ = Place::name; return true;
            default: break;  // Place::field: the parser sees to it that no other object is open
        }
        if (!has_dtype_ || !has_shape_ || !has_offsets_)
            return stop_("tensor '" + record_.name + "' lacks its field '"
                         + (!has_dtype_       ? "dtype"
                                : !has_shape_ ? "shape"
                                              : "data_offsets")
                         + "'");
        if (offsets_seen_ != 2) return stop_("tensor '" + record_.name + "' lacks a data offset");
        tensors.push_back(std::move(record_));
        place_ = Place::name;
        return true;
    }

    bool start_array(std::size_t) override {
        switch (place_) {
            case Place::before_shape: place_ = Place::shape; return true;
            case Place::before_offsets: place_ = Place::offsets; return true;
            default: return refuse_("a list");
        }
    }

    bool end_array() override {
        place_ = Place::field;
        return true;
    }

    bool parse_error(std::size_t position, std::string const&, nlohmann::detail::exception const&) override {
        return stop_("it is no valid JSON at byte " + std::to_string(position));
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

    bool stop_(std::string why) {
        problem = std::move(why);
        return false;
    }

    bool enter_(bool& seen, Place place) {
        if (seen) return stop_("tensor '" + record_.name + "' has its field '" + key_ + "' twice");
        seen = true;
        place_ = place;
        return true;
    }

    bool refuse_(std::string const& seen) {
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
        return stop_(seen + " stands at '" + key_ + "' where " + expected + " is expected");
    }

    Place place_ = Place::start;
    std::string key_;
    TensorRecord record_;
    bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
    int offsets_seen_ = 0;
    std::set<std::string> names_;
};

}  // namespace inkling::io::detail
