// Checkpoints of the official programs, saved as safetensors: reads one, writes lines with it, and a model file.
//
//   import_checkpoint --system difformer --weights difformer.safetensors --options difformer.json
//                     --decoding decoding.json --vocabulary dict.en.txt < new.de > new.en
//   import_checkpoint --system diffuseq --weights diffuseq.safetensors --options training_args.json
//                     --vocabulary vocab.txt --save diffuseq.inkling < /dev/null
//
// --source-vocabulary dict.de.txt is the source's dictionary, where it has one of its own; --remove-bpe joins parts of
// words. How to save a checkpoint and which official options are known stands in docs/recipe/, on the page of each
// system. Bridge's are of system diffuseq. A model file of difformer with the schedule 'sqrt', or of dinoiser with
// 'interchangable', is one that seq2seq generate reads.

#include "support/translation.hpp"

#include <inkling/text/sentencepiece_tokenizer.hpp>
#include <inkling/text/wordpiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace inkling;
using support::Device;

namespace {

struct ImportSettings : support::WriteSettings {
    std::string system, weights, options, decoding, vocabulary, source_vocabulary, save;
    std::string joint;                             // what parts of words end in; none if empty
    std::optional<Index> length_beam, noise_beam;  // else those of the decoding
    std::uint64_t seed = 0;
};

nlohmann::json read_json(std::string const& path) {
    io::LineReader lines(path);
    std::string text;
    for (std::string line; lines.next(line);) text += line + '\n';
    auto json = io::parse_json(text);
    require(json.is_object(), "'", path, "' is no JSON object, expected official options");
    return json;
}

nlohmann::json read_decoding(ImportSettings const& settings) {
    return settings.decoding.empty() ? nlohmann::json::object() : read_json(settings.decoding);
}

/// What messages about an official way of decoding begin with.
std::string decoding_name(ImportSettings const& settings) {
    return settings.decoding.empty() ? "import_checkpoint, without --decoding" : settings.decoding;
}

/// Words of a fairseq dictionary, which must be cut beforehand as for fairseq.
text::WordTokenizer read_words(std::string const& dictionary, std::string const& joint) {
    io::LineReader lines(dictionary);
    return text::WordTokenizer(recipe::read_fairseq_dictionary(lines), joint);
}

support::AnyTokenizer read_words(ImportSettings const& settings) {
    auto const words = read_words(settings.vocabulary, settings.joint);
    if (settings.source_vocabulary.empty()) return words;
    return support::TwoTokenizers(read_words(settings.source_vocabulary, settings.joint), words);
}

/// Saves the model where that is asked for, and answers standard input.
/// @param beams  of the decoding, where the settings say nothing else
template <class Model, class Choice>
void write(Model model, ImportSettings const& settings, decode::Beams beams, Choice const& choice) {
    beams.length_beam = settings.length_beam.value_or(beams.length_beam);
    beams.noise_beam = settings.noise_beam.value_or(beams.noise_beam);
    beams.check();
    sampler::require_valid(model.options().sampler.plan(model.schedule()), "import_checkpoint");
    model.set_device(settings.device());
    support::tell_size(model);
    if (!settings.save.empty()) {
        model.save(settings.save);
        std::cerr << "model written to " << settings.save << '\n';
    }
    auto const generate = [&](std::vector<std::vector<Token>> const& sources, Index first,
                              std::function<void(Index, Index)> on_progress) {
        return model.generate_tokens(sources,
                                     {.seed = settings.seed,
                                      .first_source = first,
                                      .beams = beams,
                                      .tokens_per_batch = settings.tokens_per_batch,
                                      .on_progress = std::move(on_progress)},
                                     choice);
    };
    support::write_lines(support::Writer(model, settings, generate));
}

void import_difformer(ImportSettings const& settings) {
    auto const official = recipe::DifformerSettings::read(read_json(settings.options), settings.options);
    auto const decoding = recipe::DifformerDecoding::read(read_decoding(settings), official, decoding_name(settings));
    auto const write_as = [&]<class Model>(std::type_identity<Model>) {
        write(recipe::import_difformer<Model>(official, decoding, settings.weights, read_words(settings)), settings,
              decoding.beams, decoding.selection());
    };
    bool const plain = official.noise_schedule == "sqrt" && decoding.noise_schedule == "sqrt"
        && decoding.variance_preserving == official.variance_preserving;
    if (official.normed_embedding)
        write_as(std::type_identity<recipe::OfficialDifformer<Device, embedding::LayerNormed>>{});
    else if (plain)
        write_as(std::type_identity<recipe::Difformer<Device>>{});
    else
        write_as(std::type_identity<recipe::OfficialDifformer<Device>>{});
}

void import_dinoiser(ImportSettings const& settings) {
    auto const official = recipe::DinoiserSettings::read(read_json(settings.options), settings.options);
    auto const decoding = recipe::DinoiserDecoding::read(read_decoding(settings), official, decoding_name(settings));
    write(recipe::import_dinoiser<Device>(official, decoding, settings.weights, read_words(settings)), settings,
          decoding.beams, decoding.selection());
}

void import_diffuseq(ImportSettings const& settings) {
    require(settings.source_vocabulary.empty(),
            "--source-vocabulary was given, expected none with --system diffuseq, whose texts have one vocabulary");
    require(!settings.length_beam,
            "--length-beam was given, expected none with --system diffuseq, whose texts all have the same rows");
    auto const official = recipe::DiffuSeqSettings::read(read_json(settings.options), settings.options);
    auto const decoding = recipe::DiffuSeqDecoding::read(read_decoding(settings), official, decoding_name(settings));
    auto const write_with = [&](auto tokenizer) {
        write(recipe::import_diffuseq<Device>(official, decoding, settings.weights, std::move(tokenizer)), settings, {},
              decode::MostAlike<metric::Method4Bleu>{});
    };
    if (std::filesystem::path(settings.vocabulary).extension() == ".json") {
        write_with(
            text::WordTokenizer(recipe::read_diffuseq_vocabulary(read_json(settings.vocabulary)),
                                settings.joint.empty() ? "@@" : settings.joint));  // which the official code joins
    } else {
        require(settings.joint.empty(),
                "--remove-bpe was given, expected none with BERT's vocab.txt, whose pieces are joined");
        io::LineReader lines(settings.vocabulary);
        write_with(text::WordPieceTokenizer::from_vocabulary(lines));
    }
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Standard input to standard output, line by line, by an official checkpoint.",
                     "import_checkpoint");
    program.set_version_flag("--version", "import_checkpoint of inkling " + std::string(library_version));
    ImportSettings settings;
    program.add_option("--system", settings.system, "whose checkpoint it is; Bridge's is diffuseq")
        ->check(CLI::IsMember({"difformer", "dinoiser", "diffuseq"}))
        ->required();
    program.add_option("--weights", settings.weights, "its weights, a safetensors file")->required();
    program.add_option("--options", settings.options, "its official options, a JSON file")->required();
    program.add_option(
        "--decoding", settings.decoding,
        "official options of decoding, a JSON file; the official defaults, with all steps, if not given");
    program
        .add_option("--vocabulary", settings.vocabulary,
                    "fairseq's dict.txt; for diffuseq BERT's vocab.txt, or vocab.json of its own")
        ->required();
    program.add_option("--source-vocabulary", settings.source_vocabulary,
                       "dict.txt of the source language, where it has one of its own");
    program.add_flag("--remove-bpe{@@}", settings.joint,
                     "parts of words, which end in '@@' (--remove-bpe=## in another mark), are joined in what is "
                     "written, and where candidates are compared");
    program.add_option("--save", settings.save, "model file to write");
    program.add_option("--tokens-per-batch", settings.tokens_per_batch, "tokens written at once")
        ->capture_default_str();
    support::add_device(program, settings);
    support::add_too_long(program, settings);
    program.add_option("--length-beam", settings.length_beam, "lengths tried; those of --decoding if not given");
    program.add_option("--noise-beam", settings.noise_beam,
                       "noises tried for each length; those of --decoding if not given");
    program.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
    return support::run(program, count, arguments, [&] {
        support::refuse_to_replace(
            {settings.weights, settings.options, settings.decoding, settings.vocabulary, settings.source_vocabulary},
            settings.save, "--save");
        require(settings.save.empty() || !std::filesystem::exists(settings.save), "--save is '", settings.save,
                "', which is there, expected a new file");
        if (settings.system == "difformer") import_difformer(settings);
        if (settings.system == "dinoiser") import_dinoiser(settings);
        if (settings.system == "diffuseq") import_diffuseq(settings);
    });
}
