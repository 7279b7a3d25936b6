/* SPDX-License-Identifier: ISC */
/*
 * What a client says who it is: "Basic" and base64 of NAME:PASSWORD (RFC 7617).
 * Whatever came in.
 */
#ifndef MCRELAY_BASIC_H
#define MCRELAY_BASIC_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/web_config.h"

#define BASIC_PASSWORD_SIZE	256

struct credentials {
	char	name[WEB_NAME_SIZE];
	char	password[BASIC_PASSWORD_SIZE];
};

/* Of the header Authorization; NULL: there is none.  False: nobody can be
 * that. */
bool	basic_parse(const char *header, struct credentials *credentials);

#endif /* MCRELAY_BASIC_H */
