/* SPDX-License-Identifier: ISC */
/*
 * TLS, if a certificate was given.  mcrelay-web only.
 */
#ifndef MCRELAY_WEB_TLS_H
#define MCRELAY_WEB_TLS_H

#include <microhttpd.h>

#define TLS_OPTIONS	4

/* Flags and options for libmicrohttpd.  The options lead to texts that
 * config_forget() takes away. */
unsigned	tls_options(struct MHD_OptionItem options[static TLS_OPTIONS]);

#endif /* MCRELAY_WEB_TLS_H */
