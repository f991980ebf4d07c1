#!/usr/bin/env python3
"""Writes include/inkling/metric/detail/unicode_tables.hpp from the facts in Python's unicodedata.

    python3 tests/metric/make_unicode_tables.py > include/inkling/metric/detail/unicode_tables.hpp
"""
import sys
import unicodedata

CODES = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def ranges(wanted):
    """The codes for which `wanted` holds, as inclusive ranges. A gap of surrogates, which are no characters, is closed."""
    found = []
    previous = None
    for code in CODES:
        if wanted(code):
            if found and previous == found[-1][1]:
                found[-1][1] = code
            else:
                found.append([code, code])
        previous = code
    return found


def lower(code):
    return chr(code).lower()


def lower_runs():
    """Runs of codes, one or two apart, whose lower case is the same distance away."""
    runs = []
    for code in CODES:
        text = lower(code)
        if len(text) != 1 or ord(text) == code:
            continue
        distance = ord(text) - code
        if runs and runs[-1][3] == distance:
            first, last, step, _ = runs[-1]
            if first == last and code - last in (1, 2):
                runs[-1] = [first, code, code - last, distance]
                continue
            if first != last and code - last == step:
                runs[-1][1] = code
                continue
        runs.append([code, code, 1, distance])
    return runs


def cased(code):  # a capital sigma after it, at the end of a word, becomes a final sigma
    return (chr(code) + "\u03a3").lower().endswith("\u03c2")


def ignorable(code):  # looked through when it stands between the two
    return ("A" + chr(code) + "\u03a3").lower().endswith("\u03c2") and not cased(code)


def show(entries, width=116):
    line = "   "
    for entry in entries:
        text = " {" + ", ".join(entry) + "},"
        if len(line) + len(text) > width:
            print(line)
            line = "   "
        line += text
    print(line)


def show_ranges(comment, name, wanted):
    found = ranges(wanted)
    print(f"/// {comment}\ninline constexpr std::array<CodeRange, {len(found)}> {name}{{{{")
    show([[f"0x{first:X}", f"0x{last:X}"] for first, last in found])
    print("}};\n")


def main():
    print("#pragma once\n")
    print(f"// Facts of Unicode {unicodedata.unidata_version}, written by tests/metric/make_unicode_tables.py.\n")
    print("#include <array>\n\nnamespace inkling::metric::detail {\n")
    print("/// Code points from `first` to `last`, both included.")
    print("struct CodeRange {\n    char32_t first, last;\n};\n")
    print("/// Code points from `first` to `last`, `step` apart, whose lower case is `distance` away.")
    print("struct LowerRun {\n    char32_t first, last, step;\n    int distance;\n};\n")
    category = unicodedata.category
    show_ranges("General category P*.", "punctuation_ranges", lambda code: category(chr(code))[0] == "P")
    show_ranges("General category S*.", "symbol_ranges", lambda code: category(chr(code))[0] == "S")
    show_ranges("General category N*.", "number_ranges", lambda code: category(chr(code))[0] == "N")
    show_ranges("White space.", "space_ranges", lambda code: chr(code).isspace())
    show_ranges("Letters that have a case, those apart that are ignorable too.", "cased_ranges", cased)
    show_ranges("What is looked through in the search for a cased letter beside a sigma.", "case_ignorable_ranges", ignorable)
    runs = lower_runs()
    print("/// Lower case, where it is one other code point.")
    print(f"inline constexpr std::array<LowerRun, {len(runs)}> lower_runs{{{{")
    show([[f"0x{first:X}", f"0x{last:X}", str(step), str(distance)] for first, last, step, distance in runs])
    print("}};\n\n}  // namespace inkling::metric::detail")


main()
