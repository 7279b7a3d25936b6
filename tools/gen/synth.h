/* SPDX-License-Identifier: ISC */
/*
 * Plausible datums of any schema: numbers follow signals, times are now,
 * everything else varies.  Encoded by avro-c, so that what mcrelay validates
 * was not written by mcrelay.
 */
#ifndef MCRELAY_GEN_SYNTH_H
#define MCRELAY_GEN_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct synth;

/*
 * `wave' has the user's FIELD=SIGNAL[:PERIOD[:AMPLITUDE]] texts.  NULL after
 * a log line when schema or signals are not usable.
 */
struct synth	*synth_open(const char *schema_file, const char *const *wave,
		    size_t waves);
void		 synth_close(struct synth *synth);

/*
 * Encodes the next datum.  False after a log line when it does not fit into
 * `room' bytes.
 */
bool		 synth_datum(struct synth *synth, uint8_t *data, size_t room,
		    size_t *size) ATTR_NONNULL;

#endif /* MCRELAY_GEN_SYNTH_H */
