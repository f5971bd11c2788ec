"""Numbers of header tags and their types (rpm, include/rpm/rpmtag.h).

Tags of the signature header and of the main header share one numbering from different bases: what is called
1000 there is the package's size, and here its name.
"""

from __future__ import annotations

# -- data types --------------------------------------------------------------------------------

CHAR, INT8, INT16, INT32, INT64, STRING, BINARY, STRING_ARRAY, I18N_STRING = range(1, 10)

# -- regions -----------------------------------------------------------------------------------

REGION_IMAGE = 61
REGION_SIGNATURES = 62
REGION_IMMUTABLE = 63

# -- signature header --------------------------------------------------------------------------

SIG_FIRST = 256
SIG_DSA = 267
SIG_RSA = 268
SIG_SHA1 = 269
SIG_LONG_SIZE = 270
SIG_LONG_ARCHIVE_SIZE = 271
SIG_SHA256 = 273
SIG_FILE_SIGNATURES = 274
SIG_FILE_SIGNATURE_LENGTH = 275
SIG_VERITY_SIGNATURES = 276
SIG_VERITY_ALGORITHM = 277
SIG_OPENPGP = 278
SIG_SHA3_256 = 279
SIG_RESERVED = 999
SIG_SIZE = 1000
SIG_PGP = 1002
SIG_MD5 = 1004
SIG_GPG = 1005
SIG_PGP5 = 1006
SIG_ARCHIVE_SIZE = 1007
SIG_RESERVED_SPACE = 1008

# -- header ------------------------------------------------------------------------------------

NAME = 1000
VERSION = 1001
RELEASE = 1002
EPOCH = 1003
SUMMARY = 1004
DESCRIPTION = 1005
BUILD_TIME = 1006
BUILD_HOST = 1007
SIZE = 1009
VENDOR = 1011
LICENSE = 1014
PACKAGER = 1015
GROUP = 1016
URL = 1020
ARCH = 1022
OLD_FILE_NAMES = 1027
FILE_MODES = 1030
FILE_DIGESTS = 1035
FILE_FLAGS = 1037
SOURCE_RPM = 1044
ARCHIVE_SIZE = 1046
# Names, flags and versions of each kind of dependency.
PROVIDES = (1047, 1112, 1113)
REQUIRES = (1049, 1048, 1050)
CONFLICTS = (1054, 1053, 1055)
OBSOLETES = (1090, 1114, 1115)
CHANGELOG_TIME = 1080
CHANGELOG_NAME = 1081
CHANGELOG_TEXT = 1082
SOURCE_PACKAGE = 1106
DIR_INDEXES = 1116
BASE_NAMES = 1117
DIR_NAMES = 1118
OLD_SUGGESTS = (1156, 1158, 1157)
OLD_ENHANCES = (1159, 1161, 1160)
LONG_SIZE = 5009
RECOMMENDS = (5046, 5048, 5047)
SUGGESTS = (5049, 5051, 5050)
SUPPLEMENTS = (5052, 5054, 5053)
ENHANCES = (5055, 5057, 5056)
DEPENDENCIES = (
    *(PROVIDES, REQUIRES, CONFLICTS, OBSOLETES, RECOMMENDS, SUGGESTS, SUPPLEMENTS, ENHANCES),
    *(OLD_SUGGESTS, OLD_ENHANCES),
)
FILE_SIGNATURES = 5090
FILE_SIGNATURE_LENGTH = 5091
PAYLOAD_SHA256 = 5092
PAYLOAD_SIZE = 5112
RPM_FORMAT = 5114
PAYLOAD_SHA512 = 5121
PAYLOAD_SHA3_256 = 5123

# -- what type a tag of the main header has to have ---------------------------------------------

_TYPED = {
    CHAR: (1029,),
    INT16: (1030, 1033),
    INT32: (
        *(257, 277, 1003, 1006, 1008, 1009, 1028, 1034, 1037, 1045, 1046, 1048, 1051, 1052, 1053, 1068, 1069, 1080),
        *(1095, 1096, 1106, 1112, 1114, 1116, 1119, 1127, 1128, 1129, 1134, 1140, 1141, 1143, 1144, 1145, 1158, 1161),
        *(1195, 5011, *range(5017, 5028), 5032, 5033, 5037, 5045, 5048, 5051, 5054, 5057, 5068, 5070, 5072, 5078),
        *(5080, 5082, 5084, 5085, 5091, 5093, 5107, 5108, 5114, 5115, 5119),
    ),
    INT64: (270, 271, 5008, 5009, 5112, 5113),
    BINARY: (259, 261, 262, 267, 268, 1012, 1013, 1043, 1146),
    STRING: (
        *(100, 266, 269, 273, 276, 278, 279, 1000, 1001, 1002, 1004, 1005, 1007, 1010, 1011, 1014, 1015, 1016),
        *(*range(1018, 1028), 1035, 1036, 1039, 1040, 1044, 1047, 1049, 1050, 1054, 1055, *range(1059, 1063)),
        *(1064, 1065, 1066, 1067, 1079, 1081, 1082, *range(1085, 1093), 1094, 1097, 1098, 1099, 1113, 1115, 1117),
        *(1118, 1120, 1121, *range(1122, 1127), 1132, 1133, 1135, 1142, *range(1147, 1158), 1159, 1160, 1196, 5000),
        *(5001, 5002, 5005, 5006, 5007, 5010, *range(5012, 5017), 5030, 5031, 5034, 5035, 5036, *range(5040, 5045)),
        *(5046, 5047, 5049, 5050, 5052, 5053, 5055, 5056, *range(5058, 5063), 5066, 5067, 5069, 5071, 5076, 5077),
        *(5079, 5081, *range(5086, 5091), 5092, *range(5096, 5102), *range(5103, 5107), 5109, 5116, 5117, 5118),
        *range(5120, 5125),
    ),
}
_STRINGS = frozenset([STRING, STRING_ARRAY, I18N_STRING])

# Tag -> the types that it may have: the three kinds of strings stand for each other, as in rpm.
TYPES: dict[int, frozenset[int]] = {
    tag: _STRINGS if kind == STRING else frozenset([kind]) for kind, tags in _TYPED.items() for tag in tags
}

# Tag of the signature header -> its type, and how many items it has, or 0 for any number.
SIGNATURE_TYPES: dict[int, tuple[int, int]] = {
    SIG_DSA: (BINARY, 0),
    SIG_RSA: (BINARY, 0),
    SIG_SHA1: (STRING, 1),
    SIG_LONG_SIZE: (INT64, 1),
    SIG_LONG_ARCHIVE_SIZE: (INT64, 1),
    SIG_SHA256: (STRING, 1),
    SIG_FILE_SIGNATURES: (STRING_ARRAY, 0),
    SIG_FILE_SIGNATURE_LENGTH: (INT32, 1),
    SIG_VERITY_SIGNATURES: (STRING_ARRAY, 0),
    SIG_VERITY_ALGORITHM: (INT32, 1),
    SIG_OPENPGP: (STRING_ARRAY, 0),
    SIG_SHA3_256: (STRING, 1),
    SIG_SIZE: (INT32, 1),
    SIG_PGP: (BINARY, 0),
    SIG_MD5: (BINARY, 16),
    SIG_GPG: (BINARY, 0),
    SIG_ARCHIVE_SIZE: (INT32, 1),
}
