/* SPDX-License-Identifier: ISC */
/*
 * What the doctor has found, for people and as JSON.  See print.h.
 */
#include <stdio.h>

#include "common/printable.h"
#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/doctor/print.h"

/* Of what is well, and what was not looked at, no more lines for each check:
 * there may be a thousand channels. */
#define LINES_MAX	8U

static const char *const result_names[DOCTOR_RESULTS] = {"ok", "warn", "fail",
    "skip"};

struct counts {
	size_t	of[DOCTOR_RESULTS];
};

static const char *
text_of(const json_t *finding, const char *name)
{
	const char *text = json_string_value(json_object_get(finding, name));

	return text != NULL ? text : "";
}

static enum doctor_result
result_of(const json_t *finding)
{
	json_int_t value = json_integer_value(json_object_get(finding,
	    "result"));

	return value >= 0 && value < DOCTOR_RESULTS ?
	    (enum doctor_result)value : DOCTOR_FAIL;
}

static void
print_line(const struct doctor_check *check, const json_t *finding)
{
	enum doctor_result result = result_of(finding);
	const char *subject = text_of(finding, "subject");
	const char *mend = text_of(finding, "mend");
	bool bad = result == DOCTOR_WARN || result == DOCTOR_FAIL;

	printable_print(stdout, "%-4s  %-18s  %s%s%s%s%s%s%s\n",
	    result_names[result], check->name, subject,
	    subject[0] != '\0' ? ": " : "", text_of(finding, "measured"),
	    bad ? "; " : "", bad ? check->why : "",
	    bad && mend[0] != '\0' ? "; mend: " : "", bad ? mend : "");
}

static void
print_check(const struct doctor_check *check, const json_t *findings,
    struct counts *counts)
{
	size_t i, shown[DOCTOR_RESULTS] = {0};
	enum doctor_result result;
	const json_t *finding;

	for (i = 0; i < json_array_size(findings); i++) {
		finding = json_array_get(findings, i);
		result = result_of(finding);
		counts->of[result]++;
		if (result == DOCTOR_WARN || result == DOCTOR_FAIL ||
		    shown[result]++ < LINES_MAX)
			print_line(check, finding);
	}
	for (result = DOCTOR_OK; result < DOCTOR_RESULTS; result++)
		if (shown[result] > LINES_MAX)
			printf("%-4s  %-18s  and %zu more\n",
			    result_names[result], check->name,
			    shown[result] - LINES_MAX);
}

int
print_findings(const json_t *findings)
{
	struct counts counts = {{0}};
	size_t i;

	for (i = 0; i < doctor_checks; i++)
		print_check(&doctor_table[i], json_array_get(findings, i),
		    &counts);
	printf("%zu ok, %zu warn, %zu fail, %zu skip\n",
	    counts.of[DOCTOR_OK], counts.of[DOCTOR_WARN],
	    counts.of[DOCTOR_FAIL], counts.of[DOCTOR_SKIP]);
	return counts.of[DOCTOR_FAIL] > 0 ? 1 : 0;
}

static json_t *
finding_json(const struct doctor_check *check, const json_t *finding)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}",
	    "check", check->name,
	    "subject", text_of(finding, "subject"),
	    "result", result_names[result_of(finding)],
	    "measured", text_of(finding, "measured"),
	    "why", check->why,
	    "mend", text_of(finding, "mend"));
}

int
print_findings_json(const json_t *findings, const char *file)
{
	json_t *all = json_array(), *object, *sums = json_object();
	struct counts counts = {{0}};
	const json_t *finding;
	size_t i, j;

	for (i = 0; i < doctor_checks; i++)
		json_array_foreach(json_array_get(findings, i), j, finding) {
			counts.of[result_of(finding)]++;
			json_array_append_new(all, finding_json(
			    &doctor_table[i], finding));
		}
	for (i = 0; i < DOCTOR_RESULTS; i++)
		json_object_set_new(sums, result_names[i],
		    json_integer((json_int_t)counts.of[i]));
	/* Left out when it is not UTF-8. */
	object = json_pack("{s:s, s:o*, s:o, s:o}", "version",
	    PACKAGE_VERSION, "file", json_string(file), "counts", sums,
	    "findings", all);
	json_dumpf(object, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(object);
	return counts.of[DOCTOR_FAIL] > 0 ? 1 : 0;
}
