#pragma once

#include <inkling/core/error.hpp>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <iostream>
#include <string>
#include <system_error>

/// What every program with a command line has.
namespace support {

/// Ends the program as the signal would have, but in good order.
[[noreturn]] inline void end_by(int signal, std::string const& why) {
    std::cerr << '\n' << why << '\n';
    std::exit(128 + signal);
}

/// @param option  that names what is written
/// @throws Error when what is written would take the place of what is read
inline void refuse_to_replace(std::initializer_list<std::string> read, std::string const& written, char const* option) {
    for (std::string const& path : read) {
        std::error_code none;
        inkling::require(!std::filesystem::equivalent(path, written, none), option, " is '", written,
                         "', which is read, expected another file");
    }
}

/// Takes the command line apart, runs what it asks for, and tells what went wrong.
/// @return the program's exit status
template <class Commands>
int run(CLI::App& program, int count, char** arguments, Commands const& commands) {
    try {
        program.parse(count, arguments);
        commands();
    } catch (CLI::RequiredError const& problem) {  // what is misspelt is told before what is missing
        auto const unknown = program.remaining(true);
        if (!unknown.empty() && !unknown.front().starts_with("--") && program.get_subcommands().empty())
            std::cerr << "there is no command " << unknown.front() << '\n';
        else
            for (std::string const& word : unknown)
                if (word.starts_with("--")) std::cerr << "there is no option " << word << '\n';
        return program.exit(problem) == 0 ? 0 : 2;
    } catch (CLI::ParseError const& problem) {
        return program.exit(problem) == 0 ? 0 : 2;
    } catch (std::exception const& problem) {
        std::cerr << program.get_name() << ": " << problem.what() << '\n';
        return 2;
    }
    return 0;
}

}  // namespace support
