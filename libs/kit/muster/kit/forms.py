"""Texts of one form, which is a pattern for programs and words for people."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Form:
    """`Annotated[str, Form(r"[A-Z]{3}", "must be three capital letters, such as AUD")]`: the pattern stands in the
    document of the API, and the words are what is answered to a text that does not have it from end to end. A choice
    (`|`) at its top stands in brackets."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fits = re.compile(self.pattern, re.ASCII).fullmatch

        def check(given: str) -> str:
            if fits(given) is None:
                raise PydanticCustomError("string_pattern_mismatch", "{words}", {"words": self.words})
            return given

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}
