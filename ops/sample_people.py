"""Generates sample people, the same ones on every call, with realistic frequencies of names and skills.

Given names have the frequencies of Census 2010 (IBGE, Nomes no Brasil, all decades, in thousands). The thirty most
frequent family names have those of Census 2022 (IBGE, in thousands); the weights of the rarer ones continue the same
curve. Skills have the frequencies of the Stack Overflow Developer Survey 2023 (percent of the answers).
"""

from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

BLOCK = 1000  # people; a block does not depend on the blocks before it


class SamplePerson(NamedTuple):
    """A person, not stored yet; `birth_date` is YYYY-MM-DD, and `skills` is None or a list."""

    nickname: str
    name: str
    birth_date: str
    skills: list[str] | None


def block(number: int) -> Iterator[SamplePerson]:
    """Yield the `BLOCK` people of block `number`, counted from 0. No two people of all blocks have one nickname."""
    rng = Random(f"block {number}")  # noqa: S311
    for index in range(number * BLOCK, (number + 1) * BLOCK):
        given = rng.choices(_GIVEN.names, cum_weights=_GIVEN.weights, k=1 + (rng.random() < 0.3))
        families = rng.choices(_FAMILY.names, cum_weights=_FAMILY.weights, k=rng.choices((1, 2, 3), (25, 60, 15))[0])
        families[0] = rng.choice(("", "", "", "da ", "de ", "dos ")) + families[0]
        handle = given[0].lower() + rng.choice((".", "_", "-", "")) + families[-1].rpartition(" ")[2].lower()
        skills = rng.choices(_SKILLS.names, cum_weights=_SKILLS.weights, k=rng.randint(1, 14))
        yield SamplePerson(
            f"{handle[:22]}{rng.choice(('', '_'))}{index}",
            " ".join((*given, *families)),
            f"{rng.randint(1940, 2007)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            list(dict.fromkeys(skills)) if rng.random() > 0.07 else None,
        )


class _Weighted(NamedTuple):
    """Names, and their cumulative weights."""

    names: list[str]
    weights: list[float]


def _weighted(table: str) -> _Weighted:
    """Return the names of a table of the form `name weight, name weight, …`."""
    pairs = [entry.rsplit(maxsplit=1) for entry in table.split(",")]
    return _Weighted([name.strip() for name, _ in pairs], list(accumulate(float(weight) for _, weight in pairs)))


_GIVEN = _weighted("""
    Maria 11397, José 5636, Ana 3056, João 2923, Antônio 2515, Francisco 1738, Carlos 1484, Paulo 1417, Pedro 1198,
    Lucas 1126, Marcos 1105, Luiz 1096, Gabriel 931, Luís 928, Rafael 820, Daniel 709, Francisca 698, Marcelo 692,
    Bruno 667, Eduardo 630, Felipe 620, Rodrigo 601, Raimundo 596, Mateus 588, André 582, Antônia 570, Adriana 567,
    Manoel 564, Juliana 564, Fernando 554, Márcia 553, Fábio 547, Leonardo 546, Gustavo 541, Fernanda 534,
    Patrícia 530, Guilherme 527, Aline 511, Leandro 508, Tiago 494, Sandra 480, Anderson 473, Camila 471, Ricardo 468,
    Márcio 467, Amanda 466, Bruna 463, Jorge 461, Jéssica 458, Sebastião 445, Alexandre 442, Roberto 435, Letícia 434,
    Luciana 431, Edson 430, Diego 424, Júlia 422, Vítor 422, Vanessa 418, Sérgio 404, Gabriela 381, Mariana 380,
    Vera 375, Vitória 367, Larissa 361, Cláudia 359, Luana 356, Sônia 354, Beatriz 354, Cláudio 351, Renata 346,
    Rita 346, Eliane 343, Simone 340, Natália 334, Júlio 332, Geraldo 330, Cristiane 328, Carla 326, Josefa 323,
    Débora 313, Alex 311, Rosângela 310, Jaqueline 309, Vinícius 304, Marlene 301, Aparecida 296, Samuel 292,
    Terezinha 292, Raquel 285, Ronaldo 270, Igor 266, Douglas 266, Davi 255, Luzia 249, Cícero 245, Alessandra 243,
    Robson 236, Miguel 235, Bianca 233, Érica 231, Henrique 226, Reginaldo 225, Gilberto 212, Tereza 211, Benedito 204,
    Michele 201, Joaquim 200, Nelson 196, Elias 188, Helena 188, Wilson 187, Alice 183, Luan 177, Bárbara 170,
    Severino 164, Kátia 163, Wesley 157, Tatiana 142, Yuri 75, Elizabeth 54, Washington 38, Kleber 34, Marcel 21,
    Wanderley 16, Ubirajara 15, Zulmira 11, Cassiana 7.6, Nilcilene 2, Xênia 0.8, Suede 0.7""")

_FAMILY = _weighted("""
    Silva 34030, Santos 21367, Oliveira 11709, Souza 9197, Pereira 6888, Ferreira 6226, Lima 6095, Alves 5757,
    Rodrigues 5429, Costa 4861, Sousa 4797, Gomes 4047, Nascimento 3609, Araújo 3461, Ribeiro 3127, Almeida 3069,
    Jesus 2859, Barbosa 2738, Soares 2615, Carvalho 2600, Martins 2577, Lopes 2338, Vieira 2102, Rocha 2044, Dias 2035,
    Gonçalves 2028, Fernandes 1836, Santana 1816, Andrade 1707, Batista 1703, Moreira 1600, Nunes 1550, Mendes 1500,
    Freitas 1450, Cardoso 1400, Ramos 1350, Teixeira 1300, Machado 1200, Correia 1100, Moura 1000, Cavalcante 800,
    Medeiros 750, Guimarães 650, Siqueira 550, Magalhães 450, D'Ávila 300, Bittencourt 150, Schmidt 130,
    Vasconcelos 120, Tanaka 80, Müller 75, Rossi 70, Nakamura 50, Yamamoto 40, Schneider 35, Zanetti 25, Weber 25,
    Kowalczyk 10, Wojciechowski 5, Albuquerque-Mello 4, Szymański 2""")

_SKILLS = _weighted("""
    JavaScript 63.6, HTML 53, CSS 53, Docker 51.6, Python 49.3, SQL 48.7, AWS 48.6, PostgreSQL 45.6, Node.js 42.7,
    MySQL 41.1, React 40.6, TypeScript 38.9, Bash 32.4, SQLite 30.9, Java 30.6, C# 27.6, Azure 26, MongoDB 25.5,
    SQL Server 25.5, C++ 22.4, jQuery 22, Redis 20.4, C 19.3, Express 19.3, Kubernetes 19.1, PHP 18.6, MariaDB 17.6,
    Angular 17.5, Next.js 16.7, ASP.NET Core 16.6, Vue.js 16.4, .NET 16, Elasticsearch 13.8, PowerShell 13.6,
    WordPress 13.4, Go 13.2, Rust 13.1, Flask 12.2, Spring Boot 12, Django 11.5, Oracle 9.8, Kotlin 9.1, Laravel 7.8,
    FastAPI 7.4, Svelte 6.6, Ruby 6.2, Lua 6.1, Dart 6, Ruby on Rails 5.5, Assembly 5.4, NestJS 5.1, Swift 4.7, R 4.2,
    MATLAB 3.8, VBA 3.6, Groovy 3.4, Delphi 3.2, Scala 2.8, Perl 2.5, Elixir 2.3, Objective-C 2.3, Haskell 2.1,
    GDScript 1.7, Lisp 1.5, Solidity 1.3, Clojure 1.3, Julia 1.2, Erlang 1, F# 1, Fortran 1, Prolog 0.9, Zig 0.8,
    Ada 0.8, OCaml 0.7, Apex 0.7, COBOL 0.7, SAS 0.5, Crystal 0.4, Nim 0.4, APL 0.3""")
