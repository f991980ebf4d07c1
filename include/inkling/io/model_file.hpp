#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/io/safetensors.hpp>
#include <inkling/io/sealed_file.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::io {

/// What a model file carries beside the weights: all that is needed to build the model again.
struct ModelDescription {
    std::string configuration;   ///< JSON: the policies' names and their settings
    std::string tokenizer_kind;  ///< what Tokenizer::kind gave: "word", say
    std::string tokenizer;       ///< what Tokenizer::serialise gave: any bytes
};

/// One file that is a whole model: weights, configuration, tokenizer and the version of this format.
///
/// The form: a safetensors file, so that other programs can look into it. Its metadata hold "inkling_format" (a whole
/// number, now 1), "inkling_configuration", "inkling_tokenizer_kind" and "inkling_checksum"; the tensor
/// "inkling.tokenizer" of type U8 holds the tokenizer's bytes; all other tensors are weights. Opening a file reads it
/// once for its checksum; one that another program wrote need not have any.
///
///     io::save_model("de-en.inkling", {configuration.dump(), std::string(tokenizer.kind()), tokenizer.serialise()}, weights);
///     auto const file = io::ModelFile::open("de-en.inkling");
///     file.load_weights(destinations);
class ModelFile {
public:
    static constexpr std::size_t longest_configuration = std::size_t{1} << 20;  ///< bytes of JSON; read, it takes more

    static constexpr int format = 1;  ///< the version written, and the newest that is read
    static constexpr char const* format_key = "inkling_format";

    /// Opens a model file; the weights stay in the file until they are asked for.
    /// @throws Error when it is no safetensors file, no model of inkling, of a newer format than this, or damaged
    [[nodiscard]] static ModelFile open(std::filesystem::path const& path) {
        return ModelFile(Safetensors::open(path));
    }

    /// Takes a model file's bytes.
    /// @throws Error as `open` does
    [[nodiscard]] static ModelFile parse(std::vector<std::byte> bytes, std::string shown = "(memory)") {
        return ModelFile(Safetensors::parse(std::move(bytes), std::move(shown)));
    }

    [[nodiscard]] ModelDescription const& description() const noexcept { return description_; }

    /// @return everything in the file, the tokenizer's bytes included
    [[nodiscard]] Safetensors const& contents() const noexcept { return file_; }

    /// @return the names and shapes of the weights, and where they lie in the file (all are of type F32)
    [[nodiscard]] std::vector<TensorView> weights() const {
        std::vector<TensorView> result;
        for (TensorView const& tensor : file_.tensors())
            if (tensor.name() != tokenizer_name) result.push_back(tensor);
        return result;
    }

    /// Fills a model's weights: each of them, and no other must be in the file.
    /// @throws Error as load_tensors does, and naming a weight that is not finite; nothing has been written to any
    ///         destination then
    void load_weights(std::span<TensorDestination const> destinations) const {
        for (TensorDestination const& destination : destinations)
            require_finite(std::span<float const>(file_.at(destination.name).to<float>()), destination.name,
                           "inkling::io::ModelFile: file '" + file_.name() + "': ");
        detail::load_tensors(file_, destinations, UnusedTensors::refuse, tokenizer_name);
    }

    static constexpr std::string_view tokenizer_name = "inkling.tokenizer";  ///< the tensor with the tokenizer's bytes

private:
    explicit ModelFile(Safetensors file) : file_(std::move(file)) {
        require_sealed(file_, "inkling::io::ModelFile: file '" + file_.name() + "': ", "model", format_key, format,
                       Unsealed::take,
                       {{"inkling_checkpoint",
                         "the checkpoint of a training: the run that wrote it, called again, goes "
                         "on from it and writes a model when it ends"}});
        description_.configuration = metadata_("inkling_configuration");
        if (description_.configuration.size() > longest_configuration)
            fail_("its 'inkling_configuration' has ", description_.configuration.size(), " bytes, expected at most ",
                  longest_configuration);
        if (parse_json(description_.configuration).is_discarded())
            fail_("its 'inkling_configuration' is no valid JSON");
        description_.tokenizer_kind = metadata_("inkling_tokenizer_kind");
        if (!file_.contains(tokenizer_name)) fail_("lacks the tensor '", tokenizer_name, "'");
        TensorView const& tokenizer = file_.at(tokenizer_name);
        if (tokenizer.type() != ElementType::U8 || tokenizer.shape().size() != 1)
            fail_("tensor '", tokenizer_name, "' is of type ", name_of(tokenizer.type()), " and shape ",
                  shape_text(tokenizer.shape()), ", expected U8 and one dimension");
        auto const bytes = tokenizer.bytes();
        description_.tokenizer.assign(reinterpret_cast<char const*>(bytes.data()), bytes.size());
        for (TensorView const& tensor : file_.tensors())
            if (tensor.type() != ElementType::F32 && tensor.name() != tokenizer_name)
                fail_("tensor '", tensor.name(), "' is of type ", name_of(tensor.type()), ", expected F32");
    }

    [[nodiscard]] std::string const& metadata_(char const* key) const {
        auto const found = file_.metadata().find(key);
        if (found == file_.metadata().end()) fail_("its metadata lack '", key, "'");
        return found->second;
    }

    template <class... Parts>
    [[noreturn]] void fail_(Parts const&... parts) const {
        fail("inkling::io::ModelFile: file '", file_.name(), "': ", parts...);
    }

    Safetensors file_;
    ModelDescription description_;
};

/// Writes a model file, wholly or not at all: an old file of that name stays until the new one is complete.
/// @throws Error when the configuration is no JSON or longer than 1 MB, a weight is called "inkling.tokenizer", or as
///         write_safetensors does
inline void save_model(std::filesystem::path const& path, ModelDescription const& description,
                       std::span<NamedTensor const> weights) {
    std::string const where = "inkling::io::save_model: file '" + path.string() + "': ";
    require(description.configuration.size() <= ModelFile::longest_configuration, where, "the configuration has ",
            description.configuration.size(), " bytes, expected at most ", ModelFile::longest_configuration);
    require(!parse_json(description.configuration).is_discarded(), where, "the configuration is no valid JSON");
    auto tensors = detail::tensors_to_write(weights, where);
    for (TensorToWrite const& tensor : tensors)
        require(tensor.name != ModelFile::tokenizer_name, where, "no weight can be called '", ModelFile::tokenizer_name,
                "'");
    tensors.push_back({std::string(ModelFile::tokenizer_name),
                       ElementType::U8,
                       {static_cast<Index>(description.tokenizer.size())},
                       std::as_bytes(std::span(description.tokenizer.data(), description.tokenizer.size()))});
    write_sealed(
        path, tensors,
        {{"inkling_configuration", description.configuration}, {"inkling_tokenizer_kind", description.tokenizer_kind}},
        ModelFile::format_key, ModelFile::format);
}

}  // namespace inkling::io
