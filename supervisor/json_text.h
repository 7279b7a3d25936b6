/* SPDX-License-Identifier: ISC */
/*
 * JSON as it is written down, member by member, without a tree of it: for what
 * is large and asked for often.  Supervisor only.
 *
 * `name' is NULL for an element of an array and for the document itself.
 */
#ifndef MCRELAY_JSON_TEXT_H
#define MCRELAY_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/growing.h"

/* `bracket' is { or [, or what closes it. */
void	json_text_open(struct growing *out, const char *name, char bracket);
void	json_text_close(struct growing *out, char bracket);

/* Up to INT64_MAX: a larger one is that, since readers take no more. */
void	json_text_number(struct growing *out, const char *name,
	    uint64_t value);
void	json_text_truth(struct growing *out, const char *name, bool value);
/* Whether it can be a string: it is UTF-8. */
bool	json_text_takes(const char *value) ATTR_NONNULL;
/* What cannot is left out, with its name. */
void	json_text_string(struct growing *out, const char *name,
	    const char *value);
/* Takes `value' over. */
void	json_text_value(struct growing *out, const char *name, json_t *value);

#endif /* MCRELAY_JSON_TEXT_H */
