"""Functions of PostgreSQL whose answer depends on their arguments alone, and those that read the clock. All others are opaque."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE = words(
    """
    abs acos any_value array_agg array_append array_cat array_length array_position array_remove array_to_string
    array_upper ascii asin atan atan2 avg bit_and bit_length bit_or bit_xor bool_and bool_or btrim cardinality cast cbrt
    ceil ceiling char_length character_length chr coalesce concat concat_ws corr cos cot count covar_pop covar_samp
    cume_dist date date_part date_trunc decode degrees dense_rank div encode every exp extract first_value float8 floor
    format greatest initcap int4 int8 isfinite json_agg json_build_array json_build_object json_object_agg jsonb_agg
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
    jsonb_path_exists jsonb_set jsonb_typeof lag last_value lead least left length ln log log10 lower lpad ltrim make_date
    make_interval make_time make_timestamp max md5 min mod mode nth_value ntile nullif numeric octet_length overlay
    percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery position power radians rank
    regexp_replace regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat
    replace reverse right round row row_number rpad rtrim setweight sha224 sha256 sha384 sha512 sign similarity sin
    split_part sqrt stddev stddev_pop stddev_samp string_agg string_to_array strip strpos substr substring sum tan text
    timezone to_char to_date to_jsonb to_number to_timestamp to_tsquery to_tsvector translate trim trunc ts_headline
    ts_rank ts_rank_cd unaccent unnest upper var_pop var_samp variance websearch_to_tsquery width_bucket word_similarity
    xmlagg
    """
)
"""Of these, only what an extension or an overload of the same name does could differ."""

CLOCKS = words(
    """
    age clock_timestamp current_date current_time current_timestamp localtime localtimestamp now statement_timestamp
    transaction_timestamp
    """
)

BARE = words(
    """
    current_date current_time current_timestamp localtime localtimestamp current_user session_user user current_role
    current_catalog current_schema
    """
)
"""Functions that are called without parentheses."""

ROLE = frozenset(("current_user", "session_user", "user", "current_role", "current_catalog", "current_schema"))
"""Part of the name under which an answer is cached."""

_PURE_PREFIXES = ("st_", "django_")  # PostGIS, all but a few that no query of a page calls; what Django gives to SQLite


def is_pure(name: str) -> bool:
    return name in PURE or name in ROLE or name.startswith(_PURE_PREFIXES)


def reads_clock(name: str) -> bool:
    return name in CLOCKS
