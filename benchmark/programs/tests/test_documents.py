"""Documents show the newest records between markers, and no measured figure stands elsewhere."""

import programs  # noqa: F401
import unittest

import documents


def sinks(begun, rate):
    """A record of one round."""
    figures = dict.fromkeys(("client_cpu_s", "store_cpu_s", "broker_cpu_s", "client_peak_mib", "others_cores"), 1.0)
    return {
        "kind": "sinks", "begun": begun, "commit": "abc", "command": "benchmark/programs/sinks",
        "machine": {"cores": 2, "cpu": "AMD EPYC"}, "parameters": {"sales": 1, "mean_bytes": 2, "topics": 51, "rounds": 1},
        "rounds": {"redis": [{"sales_per_s": rate, **figures}]},
    }


FOUND = {"sinks": [sinks("2026-11-28", 123_456), sinks("2026-11-27", 98_765)]}
PAGE = "# Sinks\n\n<!-- BEGIN: measured sinks -->\nold\n<!-- END: measured sinks -->\n\nThe end.\n"


class Documents(unittest.TestCase):
    def problems(self, **texts):
        """What is wrong with these documents beside a page that is right."""
        page = {"benchmark/programs/results/sinks.md": documents.spliced(PAGE, FOUND)}
        return list(documents.problems({**page, **texts}, FOUND))

    def test_only_the_blocks_of_a_document_change(self):
        text = documents.spliced(PAGE, FOUND)
        self.assertTrue(text.startswith("# Sinks\n\n<!-- BEGIN: measured sinks -->\n2026-11-28, by"), text)
        self.assertTrue(text.endswith("|\n<!-- END: measured sinks -->\n\nThe end.\n"), text)
        self.assertNotIn("old", text)
        self.assertEqual(documents.spliced(text, FOUND), text)

    def test_the_newest_record_is_shown_in_full_and_an_earlier_one_in_a_line(self):
        text = documents.spliced(PAGE, FOUND)
        self.assertIn("**123,456 (123,456 to 123,456)**", text)
        self.assertIn("| 2026-11-27 | abc | `benchmark/programs/sinks` |", text)
        self.assertIn("98,765 sales/s", text)

    def test_the_summary_links_the_newest_record_of_each_kind(self):
        (_, _, row) = documents.summary(FOUND)
        self.assertIn("[123,456 sales/s](programs/results/sinks.md) | 2026-11-28, abc |", row)

    def test_documents_that_show_the_records_have_no_problem(self):
        self.assertEqual(self.problems(**{"README.md": "Nothing is quoted, but 20,000 sales in 60 s and 1,024 MiB.\n"}), [])

    def test_a_document_that_is_out_of_date_is_a_problem(self):
        (problem,) = self.problems(**{"docs/other.md": PAGE})
        self.assertIn("docs/other.md is not what the records say", problem)

    def test_a_figure_that_was_copied_by_hand_is_a_problem_in_any_document(self):
        for text in ("It writes 123,456 sales/s.", "It wrote 98,765 at first."):
            (problem,) = self.problems(**{"charts/kapture/README.md": text})
            self.assertIn("was copied by hand", problem)

    def test_a_longer_number_is_another_figure(self):
        self.assertEqual(self.problems(**{"charts/kapture/README.md": "A total of 1,123,456 and 123,456.7 and 123,456,000."}), [])

    def test_a_measured_unit_is_a_problem_in_a_document_about_measurements(self):
        for text in ("It was 7 sales/s.", "After 12 kills.", "With p99 80 ms."):
            self.assertEqual(len(self.problems(**{"benchmark/README.md": text})), 1, text)
            self.assertEqual(self.problems(**{"docs/other.md": text}), [])

    def test_a_record_that_no_document_shows_is_a_problem(self):
        (problem,) = documents.problems({}, FOUND)
        self.assertIn("no document shows the records of sinks", problem)

    def test_a_block_that_nobody_makes_is_a_problem(self):
        (problem,) = self.problems(**{"a.md": "<!-- BEGIN: measured speed -->\n<!-- END: measured speed -->\n"})
        self.assertIn("there is no block called speed", problem)

    def test_a_marker_without_its_partner_is_a_problem(self):
        (problem,) = self.problems(**{"a.md": "<!-- BEGIN: measured sinks -->\n"})
        self.assertIn("has no partner", problem)

    def test_a_block_of_what_was_not_measured_yet_says_so(self):
        self.assertEqual(documents.result(FOUND, "chaos-cluster"), ["Not recorded yet."])
